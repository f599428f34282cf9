"""The machine an engine runs on: devices, memory, model files."""
