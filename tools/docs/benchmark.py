"""The benchmarks in metrics/benchmark_*.json: the keys that README and docs show, and what may stand under them."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from lstm_lm.core.json_file import Content, Count, Number

Positive = Annotated[Number, Field(gt=0)]


class Quartiles(Content):
    """What was measured several times."""

    median: Positive
    q1: Number
    q3: Number


class Speed(Content):
    """How fast a way of training is, where it was measured also as a share of the speed of its matrix products."""

    tokens_per_second: Quartiles
    share_of_products: Number | None = None


class Compared(Content):
    """Speeds by name, on one machine, and their ratios."""

    measured_on: str
    ratios: dict[str, Number]


class SpeedInMemory(Speed):
    """A speed and the memory that it takes."""

    peak_memory_mib: Number


class Stack(Content):
    """The time of a step in one shape."""

    layers: Count
    hidden: Count
    vocab_size: Count
    contestant: str
    step_ms: Quartiles


class Beside(Content):
    """The time of a step alone and beside other processes."""

    alone_ms: Quartiles
    beside_ms: Quartiles
    ratio: Number


class Cpu(Compared):
    """benchmark_cpu.json."""

    default_shape: dict[str, SpeedInMemory]
    stacks: list[Stack]
    share_of_native: Quartiles | None = None
    beside_two_processes: dict[str, Beside] = Field(default_factory=dict)


class Ptb(Compared):
    """benchmark_ptb.json."""

    speeds: dict[str, Speed]


class Whole(Content):
    """benchmark_whole.json."""

    textbook_training_seconds: Annotated[dict[str, Positive], Field(min_length=1)]
    repro_seconds: dict[str, Number]


class Curves(Content):
    """benchmark_curves.json."""

    first_epochs: Count
    epochs: Count
    last_epochs: Count
    largest_relative_difference: dict[str, Number]
    perplexity: dict[str, Number]
    median_perplexity: dict[str, Number]

    @model_validator(mode="after")
    def _kernels_are_the_same(self) -> "Curves":
        if self.perplexity.keys() != self.median_perplexity.keys():
            raise ValueError("perplexity and median_perplexity are about other kernels")
        return self


class Stage(Content):
    """A stage on a text."""

    cpu_seconds: Number
    mb_per_second: Positive
    peak_memory_mib: Count


class Order(Content):
    """A training with one order of the windows."""

    tokens: Count
    large_over_small: Number
    seconds_to_cut_an_epoch: Number
    peak_memory_mib: Count


class Evaluation(Content):
    """The evaluate stage."""

    peak_memory_mib: Count


class Size(Content):
    """A text of one size; models are measured on the largest."""

    megabytes: Positive
    stages: dict[str, Stage]
    training: dict[str, Order] = Field(default_factory=dict)
    evaluate: Evaluation | None = None


class Corpus(Content):
    """benchmark_corpus.json."""

    measured_on: str
    load_before: Number
    sizes: Annotated[list[Size], Field(min_length=2)]

    @model_validator(mode="after")
    def _the_same_stages_read_ever_larger_texts(self) -> "Corpus":
        for size, larger in pairwise(self.sizes):
            if size.megabytes >= larger.megabytes or size.stages.keys() != larger.stages.keys():
                raise ValueError("sizes: the same stages must read ever larger texts")
        return self


class Shape(Content):
    """The times of a step and of what it consists of, in milliseconds."""

    parameters: Count
    step: Number
    average: Number
    save: Number
    saved_bytes: Count


class Process(Content):
    """What one process measured, by hidden units."""

    shapes: dict[Annotated[str, Field(pattern=r"^[0-9]+$")], Shape]


class UsualLoop(Content):
    """The time of a step of nn.LSTM, in milliseconds, by what averages its gradients."""

    alone: Number
    average: Number
    DistributedDataParallel: Number


class TwoProcesses(Process):
    """What two processes measured that share a training."""

    agree: Number
    usual_loop: UsualLoop


class Processes(Content):
    """benchmark_processes.json."""

    measured_on: str
    one: Process
    two: TwoProcesses

    @model_validator(mode="after")
    def _shapes_are_the_same(self) -> "Processes":
        if self.one.shapes.keys() != self.two.shapes.keys():
            raise ValueError("one.shapes and two.shapes are about other hidden units")
        return self


class GpuTraining(Content):
    """A model trained to the end, twice."""

    train_perplexity: Number
    tokens_per_second: Quartiles
    sha256: str


class Graph(Content):
    """The CUDA graph against single operations."""

    graph_over_eager: dict[str, Number]


class Epoch(Content):
    """A model after an epoch of a recipe."""

    valid_perplexity: Number
    seconds: Number
    tokens_per_second: Number


class Grid(Content):
    """Which cells of the grid are missing, and why."""

    missing: dict[str, str]


class Row(Content):
    """A cell of the grid."""

    hidden: Count
    batch_size: Count
    contestant: str
    step_ms: Quartiles


class Rows(Grid):
    """The cells of the grid."""

    rows: list[Row]


Names = dict[str, dict[str, Quartiles] | str]


class Gpu(Compared):
    """benchmark_gpu.json. A part that was not measured says why instead."""

    default_shape: dict[str, Speed]
    tests: str
    trainings: dict[str, GpuTraining] | str
    graph: Graph | str
    precisions: Names | str
    recipes: dict[str, dict[str, Epoch] | str] | str
    grid: Grid | str
    words: Names | str
    flashrnn: Rows | str
