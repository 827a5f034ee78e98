import jax
import jax.numpy as jnp
import pytest

import galjax.training.device
import galjax.training.execution
from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.networks.registry import make_network
from galjax.training.execution import ExecutionConfig, Sizes, choose, memory_of
from galjax.training.step import OptimiserConfig
from tests.training.test_repeats import make_program

THESIS = Sizes((64, 64, 1), 5600, 420, 180)
LARGE = Sizes((150, 150, 1), 5600, 700, 300)
GIGABYTE = 1e9
PADDED = NetworkConfig(padding="same")


def chosen(repeats=30, sizes=THESIS, momentum=0.0, **flags):
    return choose(ExecutionConfig(**flags), PADDED, OptimiserConfig(momentum=momentum), sizes, repeats)


@pytest.fixture
def gpu(monkeypatch):
    """Called with a number of bytes: from then on as on a machine whose devices are GPUs of so much memory."""

    def with_memory(bytes_):
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        monkeypatch.setattr(galjax.training.execution, "device_memory", lambda device: bytes_)

    return with_memory


def test_on_a_cpu_every_core_trains_one_repeat_after_the_other():
    execution = chosen()
    assert (execution.backend, execution.lowering, execution.repeats_at_once) == ("cpu", "direct", 1)
    assert execution.devices == jax.device_count()
    assert chosen(repeats=3).devices == 3


def test_a_gpu_computes_as_many_repeats_at_once_as_its_memory_holds(gpu):
    gpu(1000 * GIGABYTE)
    assert chosen(100).lowering == "patches"
    assert chosen(100).repeats_at_once == 25  # all of those on one of four devices
    gpu(5 * GIGABYTE)
    assert 1 < chosen(100).repeats_at_once < 25
    assert chosen(100, LARGE).repeats_at_once == 1
    gpu(0)
    assert chosen(100).repeats_at_once == 1


def test_groups_are_as_even_as_they_can_be(gpu):
    gpu(1000 * GIGABYTE)
    assert chosen(4 * 30, repeats_at_once=20).repeats_at_once == 15
    assert chosen(4 * 30, repeats_at_once=99).repeats_at_once == 30


def test_flags_go_before_what_was_measured():
    execution = chosen(30, lowering="xla", repeats_at_once=4, delayed_steps=3, precision="bfloat16")
    assert execution[2:6] == ("xla", 4, 3, "bfloat16")
    trainer = execution.trainer(NetworkConfig(), OptimiserConfig(), 2)
    assert (trainer.network.lowering, trainer.network.operands, trainer.delayed_steps) == ("xla", "bfloat16", 3)


def test_with_momentum_no_update_is_delayed():
    assert chosen(momentum=0.9).delayed_steps == 1


def test_tf32_is_the_matrix_units_own_on_a_gpu_and_emulated_on_a_cpu(gpu):
    on_cpu = chosen(precision="tf32")
    assert on_cpu.trainer(NetworkConfig(), OptimiserConfig(), 2).network.operands == "tf32"
    gpu(1000 * GIGABYTE)
    on_gpu = chosen(precision="tf32")
    assert on_gpu.trainer(NetworkConfig(), OptimiserConfig(), 2).network.operands == "float32"
    assert on_gpu.matmul_precision == "tensorfloat32"
    assert chosen().matmul_precision == "float32"


def test_a_pool_that_would_fill_the_memory_is_kept_on_fewer_devices(monkeypatch):
    pool = memory_of(PADDED, OptimiserConfig(), LARGE).galaxies
    monkeypatch.setattr(galjax.training.execution, "host_memory", lambda: 30 * 2e8 + 2 * (pool + 1e9))
    assert chosen(30, LARGE).devices < jax.device_count()


@pytest.mark.parametrize("network", [NetworkConfig(padding="same"), NetworkConfig(), NetworkConfig(network="residual")])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_estimate_counts_every_parameter(network, momentum):
    parameters = jax.eval_shape(
        lambda: make_network(network, 3).init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)), train=False)["params"]
    )
    counted = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    estimate = memory_of(network, OptimiserConfig(momentum=momentum), Sizes((64, 64, 3), 1, 1, 1, 3)).state
    assert estimate == 4 * counted * (2 if momentum else 1)


def test_the_working_memory_of_the_thesis_network_is_that_counted_by_hand():
    test, train, batch = 180, 420, 8
    parameters = 9 * 32 + 32 + 9 * 32 * 64 + 64 + 4 * 64 * 128 + 128 + 8193 * 1024 + 1025 * 1024 + 1025 * 2
    convolutions = (
        64**2 * (9 + 32) + 32**2 * (9 * 32 + 64) + 16**2 * (4 * 64 + 128)
    )  # patches, and what is made of them
    dense = 8192 + 1024 + 1024 + 1024 + 1024 + 2
    expected = parameters + 2 * batch * (convolutions + dense) + train * 64**2 + test * (8192 + 1024 + 1024 + 2)
    memory = memory_of(PADDED, OptimiserConfig(batch_size=batch), Sizes((64, 64, 1), 5600, train, test))
    # Evaluation takes 60 images at once, without gradients: more than the batches of training.
    expected += 60 * 32**2 * (9 * 32 + 64) - 2 * batch * (convolutions + dense)
    assert memory == (4 * parameters, 4 * expected, 4 * 5600 * 64**2)
    larger = memory_of(PADDED, OptimiserConfig(batch_size=64), Sizes((64, 64, 1), 5600, train, test))
    assert larger.working - memory.working == 4 * (2 * 64 * (convolutions + dense) - 60 * 32**2 * (9 * 32 + 64))


@pytest.mark.parametrize("lowering", ["direct", "patches"])
@pytest.mark.parametrize(
    "network",
    [
        NetworkConfig(filters=(4, 4, 4), dense_units=(16, 16), input_scaling="asinh", padding="same"),
        NetworkConfig(network="residual", filters=(4, 4, 4), input_scaling="asinh"),
    ],
)
def test_the_estimate_is_near_what_the_compiled_program_asks_for(lowering, network):
    program = make_program([0], lowering=lowering, devices=1, network=network)
    one = program.training.memory_analysis().temp_size_in_bytes
    sizes = Sizes((16, 16, 1), 60, 28, 12)
    memory = memory_of(network, OptimiserConfig(), sizes)
    assert memory.working > 0.5 * one
    assert memory.working < 5 * one


@pytest.mark.parametrize("flag", ["repeats_at_once", "delayed_steps"])
def test_bad_flags_get_a_sentence(flag):
    with pytest.raises(InputError, match=f"--{flag.replace('_', '-')} must be at least 1.*, not 0"):
        ExecutionConfig(**{flag: 0})


def test_cores_that_the_user_counted_are_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(jax.config, "update", lambda *a: asked.append(a))
    galjax.training.execution.use_all_cores()  # the tests set XLA_FLAGS
    assert asked == []
    monkeypatch.setenv("XLA_FLAGS", "")
    galjax.training.execution.use_all_cores()
    assert asked == [("jax_num_cpu_devices", galjax.training.execution.cores())]


def test_a_compilation_cache_of_the_user_is_used():
    events = []
    jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
    make_program([0])  # conftest.py sets JAX_COMPILATION_CACHE_DIR
    jax.clear_caches()
    galjax.training.device._compiled.cache_clear()
    events.clear()
    make_program([0])
    assert "/jax/compilation_cache/cache_hits" in events
