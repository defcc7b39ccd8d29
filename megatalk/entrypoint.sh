#!/bin/sh
# The container's program: fills the code folder from the image and becomes Streamlit.
set -eu
cp -R /opt/megatalk/. /app/
trap '' USR1 # asks for a new start (asgi.py); until Streamlit can give it, it must not end the program
exec python -m streamlit run megatalk/asgi.py
