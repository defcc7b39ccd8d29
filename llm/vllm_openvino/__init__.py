"""The vllm-openvino image's own code: exports the model to OpenVINO IR once and hands it to vLLM 0.8.1."""
