"""GPT-SoVITS on the CPU, as a container: its weights brought into a volume, then upstream's api_v2."""
