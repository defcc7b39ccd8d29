"""MegaService: takes a chat request, asks an LLM, and has its reply spoken sentence by sentence while it is written."""
