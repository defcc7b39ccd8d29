"""How the event loop tells the worker thread that nobody waits for its speech any more."""

import onnxruntime


class Abandoning:
    """Set once, from any thread; it also ends a run of ONNX Runtime that was given its options."""

    def __init__(self) -> None:
        self.run_options = onnxruntime.RunOptions()

    def set(self) -> None:
        self.run_options.terminate = True

    def is_set(self) -> bool:
        return bool(self.run_options.terminate)
