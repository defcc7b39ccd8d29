"""The embedded LLM server: an OpenAI-compatible API over OpenVINO GenAI, with a model out of hub or registry."""
