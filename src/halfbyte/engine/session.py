"""Running a graph of a model file."""

from collections.abc import Mapping, Sequence
from typing import Any

from halfbyte import _core
from halfbyte.engine.model_file import ModelFile
from halfbyte.engine.tensor import Tensor
from halfbyte.errors import InputError, UsageError


class State:
    """What a stream remembers between two steps of a streaming graph.

    Args:
        model: the file.
        graph: which of its graphs.
        left_context_steps: length of the open axes of the states; None for the file's own.

    Raises:
        UsageError: no such graph, or it has no left context to set.
    """

    def __init__(
        self, model: ModelFile, graph: str = "encoder", left_context_steps: int | None = None
    ) -> None:
        steps = -1 if left_context_steps is None else left_context_steps
        self.core = _core.graph.State(model.core, graph, steps)

    def reset(self) -> None:
        """Back to the initial values."""
        self.core.reset()

    def copy(self) -> "State":
        """An independent state with the same contents."""
        other = State.__new__(State)
        other.core = self.core.copy()
        return other

    def save(self) -> bytes:
        """Everything needed to go on later, also in another process with the same model file."""
        return self.core.save()

    def restore(self, saved: bytes) -> None:
        """Takes over what `save` gave.

        Raises:
            InputError: the bytes are damaged, or belong to another graph or left context.
        """
        self.core.restore(saved)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of the tensors, by name."""
        names = self.core.names()
        return {name: Tensor(*self.core.tensor(i)) for i, name in enumerate(names)}

    @property
    def num_bytes(self) -> int:
        """Memory that the tensors take."""
        return self.core.num_bytes

    @property
    def left_context_steps(self) -> int:
        """Length of the open axes of the states; -1 if there are none."""
        return self.core.left_context_steps


class Session:
    """One graph of a model file, ready to run; serves one thread at a time.

    Plans are made for each set of input shapes and remembered for the last few, so that a repeated
    shape allocates nothing inside the engine.

    Args:
        model: the file; many sessions may share it.
        graph: which of its graphs.
        isa: instruction set to run on; None for the best, or what HALFBYTE_ISA says.
        threads: that share each step; None for what HALFBYTE_THREADS says, or else 1. The
            results are the same for any number.

    Raises:
        UsageError: no such graph, or the CPU has no such instruction set, or the number of
            threads is not 1 to 256.
    """

    def __init__(
        self,
        model: ModelFile,
        graph: str = "encoder",
        isa: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._outputs = model.outputs(graph)
        if threads == 0:
            raise UsageError("threads is 0; expected 1 to 256")
        self.core = _core.graph.Session(model.core, graph, isa or "", threads or 0)

    def run(self, inputs: Mapping[str, Any], state: State | None = None) -> dict[str, Tensor]:
        """Runs the graph.

        Args:
            inputs: name -> Tensor, or anything with a C-contiguous buffer of float32, int64 or bool
                (memoryview, array.array, numpy array); read without copying.
            state: read, then overwritten with the next state. Without it, state inputs that are not
                given take their initial values.

        Returns:
            All outputs by name, but with `state` those only that are not part of it.

        Raises:
            InputError: a wrong type or shape, or NaN or infinity before a quantised layer.
            UsageError: an unknown name, or an input is missing.
        """
        for name, value in inputs.items():
            self.core.set_input(name, value.view() if isinstance(value, Tensor) else value)
        self.core.run(None if state is None else state.core)
        names = [n for n in self._outputs if state is None or not n.startswith("next.")]
        return {name: Tensor(*self.core.output(name)) for name in names}

    def step_many(
        self, states: Sequence[State], chunks: Sequence[Any], name: str = "features"
    ) -> list[dict[str, Tensor]]:
        """One step of several streams as one batch, so that all share each read of the weights.

        Every stream gets the bits that it would have had alone.

        Args:
            states: of different streams, with the same left context; each is overwritten with
                the next.
            chunks: one a state, (T, F) or (1, T, F) float32 as `run` takes them, all of one shape.
            name: the input that takes them.

        Returns:
            For each stream, its outputs of batch 1 by name, without the states.

        Raises:
            InputError: no chunks, or of different shapes or types, states of different left
                context, or NaN or infinity before a quantised layer. No state has changed then.
            UsageError: a state came twice, or belongs to another graph.
        """
        views = [_bytes_and_shape(chunk) for chunk in chunks]
        shapes = {shape for _, shape in views}
        if len(states) != len(chunks) or len(shapes) != 1:
            raise InputError(
                f"got {len(states)} states and {len(chunks)} chunks of shapes {sorted(shapes)}; "
                "a batch takes one chunk a state, all of one shape"
            )
        batch = b"".join(view for view, _ in views)
        shape = (len(views), *next(iter(shapes), ()))
        self.core.set_input(name, Tensor("float32", shape, batch).view())
        self.core.run_batch([state.core for state in states])
        names = [n for n in self._outputs if not n.startswith("next.")]
        outputs = {n: _rows(Tensor(*self.core.output(n))) for n in names}
        return [{n: rows[i] for n, rows in outputs.items()} for i in range(len(states))]

    def start_profile(self) -> None:
        """From now on time every node, at about 50 ns a node; until then nothing is timed."""
        self.core.start_profile()

    def profile(self) -> list[tuple[str, str, int]]:
        """Operator, name of its first output and nanoseconds of every node that took any.

        Sums over all runs since `start_profile`, in the order in which nodes run. Nodes whose
        values depend on shapes only run when a plan is made and are not among them.
        """
        return self.core.profile()

    @property
    def num_threads(self) -> int:
        """Threads that share each step."""
        return self.core.num_threads

    @property
    def num_plans(self) -> int:
        """Sets of input shapes that are remembered."""
        return self.core.num_plans

    @property
    def arena_bytes(self) -> int:
        """Memory for intermediate values; grows only when a larger shape comes."""
        return self.core.arena_bytes


def _bytes_and_shape(chunk: Any) -> tuple[memoryview, tuple[int, ...]]:
    """The bytes of a chunk and its shape without a batch axis of 1."""
    view: Any = chunk.view() if isinstance(chunk, Tensor) else memoryview(chunk)
    if view.format != "f" or not view.c_contiguous:
        raise InputError(f"a chunk has format {view.format!r}; expected contiguous float32")
    shape = view.shape[1:] if view.ndim == 3 and view.shape[0] == 1 else view.shape
    return view.cast("B"), shape


def _rows(tensor: Tensor) -> list[Tensor]:
    """The rows of a batch, each as a batch of 1."""
    num_rows, *rest = tensor.shape
    row_bytes = len(tensor.data) // num_rows
    return [
        Tensor(tensor.dtype, (1, *rest), tensor.data[i * row_bytes : (i + 1) * row_bytes])
        for i in range(num_rows)
    ]
