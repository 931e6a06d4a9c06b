"""The networks: shapes, that they learn, and the trained ones that come with the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NEEDS_BRAINS, complex_tensor
from safetensors.torch import save_file

from perpcore.data.coils import solve_sense
from perpcore.data.datasets import PhantomRecon
from perpcore.data.motion import warp
from perpcore.experiments.configs import ANATOMIES, CLASSICAL, COMPARISONS, WEIGHTS
from perpcore.metrics import psnr
from perpcore.models import (
    START_STEPS,
    START_WEIGHT,
    MotionNet,
    UNet,
    UnrolledNet,
    _normal_flow,
    load_pretrained,
    parameter_count,
    pretrained_names,
)


@pytest.mark.parametrize("shape", [(2, 32, 32), (1, 30, 45)])
def test_keeps_the_shape_and_starts_as_a_small_correction(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    image = complex_tensor(*shape, dtype=torch.complex64)
    out = UNet(8, 2)(image)
    assert out.shape == shape and out.dtype == torch.complex64
    relative = (out - image).abs().mean() / image.abs().mean()
    assert 0 < relative < 0.05


def test_learns_something() -> None:
    torch.manual_seed(0)
    image = complex_tensor(2, 16, 16, dtype=torch.complex64)
    target = image * 1j
    model = UNet(8, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        loss = (model(image) - target).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_new_u_net_carries_the_image_to_its_last_layer() -> None:
    """From torch's own start it arrives there about 17 times smaller, and the network hardly learns."""
    torch.manual_seed(0)
    image, seen = complex_tensor(2, 64, 64, dtype=torch.complex64), []
    model = UNet(16, 3)
    model.out.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    model(image)
    size = seen[0].square().mean().sqrt() / torch.view_as_real(image).square().mean().sqrt()
    assert 0.3 < size < 3


def test_size_of_the_quick_network() -> None:
    assert 150_000 < parameter_count(UNet(16, 3)) < 250_000


def test_the_u_net_looks_at_the_image_only() -> None:
    """So that it takes the inputs of an unrolled network."""
    image, model = complex_tensor(1, 16, 16, dtype=torch.complex64), UNet(8, 1)
    assert torch.equal(model(image, torch.ones(1), torch.ones(1)), model(image))


@pytest.mark.parametrize("bad", [torch.ones(2, 8, 8), torch.ones(8, 8, dtype=torch.complex64)])
def test_wrong_input_is_named(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="image: expected complex"):
        UNet(8, 1)(bad)


def error_after_training(
    model: MotionNet, fixed: torch.Tensor, moving: torch.Tensor, target: torch.Tensor, steps: int
) -> float:
    """End-point error in the last of some steps on one pair."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = torch.linalg.vector_norm(model(fixed, moving) - target, dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize(("channels", "flow"), [(1, True), (2, True), (1, False)])
def test_motion_net_starts_near_zero_and_learns_a_translation(channels: int, flow: bool) -> None:
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    moving = (torch.sin(x / 3) * torch.cos(y / 4) + 1.5).to(torch.complex64)[None]
    target = torch.zeros(1, 2, 32, 32)
    target[:, 0] = 2
    fixed = warp(moving, target)
    model = MotionNet(channels, 8, 3, flow)
    first = model(fixed, moving)
    assert first.shape == (1, 2, 32, 32) and first.dtype == torch.float32
    assert first.abs().max() < 1.5
    assert error_after_training(model, fixed, moving, target, steps=80) < 0.3


def test_normal_flow_points_the_way_of_the_motion() -> None:
    """A linear ramp moved by u has exactly the normal flow u |∇I|² / (|∇I|² + δ²)."""
    ramp = 0.1 * torch.arange(16.0).expand(1, 1, 16, 16)
    flow = _normal_flow(ramp + 0.1 * 0.5, ramp)
    torch.testing.assert_close(flow[:, 0], torch.full((1, 16, 16), 0.5 * 0.01 / 0.0125))
    assert not flow[:, 1].any()
    ramp = 0.1 * torch.arange(8.0).reshape(8, 1, 1).expand(1, 1, 8, 8, 8)  # along z, the last component
    flow = _normal_flow(ramp + 0.1 * 0.5, ramp)
    torch.testing.assert_close(flow[:, 2], torch.full((1, 8, 8, 8), 0.5 * 0.01 / 0.0125))
    assert flow.shape == (1, 3, 8, 8, 8) and not flow[:, :2].any()


def test_motion_net_learns_a_translation_of_volumes() -> None:
    torch.manual_seed(0)
    z, y, x = torch.meshgrid(*[torch.arange(16.0)] * 3, indexing="ij")
    moving = (torch.sin(x / 2) * torch.cos(y / 3) * torch.sin(z / 3) + 1.5)[None]
    target = torch.zeros(1, 3, 16, 16, 16)
    target[:, 2] = 1
    fixed, model = warp(moving, target), MotionNet(chans=8, levels=2, dims=3)
    assert model(fixed, moving).shape == target.shape
    assert error_after_training(model, fixed, moving, target, steps=40) < 0.3
    with pytest.raises(ValueError, match=r"moving: expected \(batch, slice, row, column\) like fixed"):
        model(fixed[:, 0], moving[:, 0])


def test_double_precision_images_go_through_networks_of_single_precision() -> None:
    torch.manual_seed(0)
    image, moving = complex_tensor(2, 1, 32, 32)
    network = UNet(8, 2)
    out = network(image)
    assert out.dtype == torch.complex128
    torch.testing.assert_close(out.to(torch.complex64), network(image.to(torch.complex64)))
    for channels in (1, 2):
        registration = MotionNet(channels, 8, 3)
        field = registration(image.to(torch.complex64), moving.to(torch.complex64))
        torch.testing.assert_close(registration(image, moving), field)
    coils, mask = torch.ones(1, 1, 32, 32, dtype=torch.complex128), torch.ones(1, 32, 32)
    assert UnrolledNet(1, 4)(image, coils, mask).dtype == torch.complex128


def test_motion_net_names_wrong_input() -> None:
    with pytest.raises(ValueError, match="fixed, moving: expected complex images, got torch.float32"):
        MotionNet(2, 8, 3)(torch.ones(1, 32, 32), torch.ones(1, 32, 32))
    image = torch.ones(1, 20, 20, dtype=torch.complex64)
    with pytest.raises(ValueError, match="fixed.*divisible by 8"):
        MotionNet(1, 8, 4)(image, image)
    with pytest.raises(ValueError, match="moving"):
        MotionNet(1, 8, 3)(image, image[:, :16])


def two_abdomens(size: int = 32) -> Any:
    return PhantomRecon(anatomy="abdomen", size=size, n_coils=3).batch(range(2))


@pytest.mark.parametrize("size", [32, 27])
def test_without_corrections_the_unrolled_net_is_cg_sense_again_and_again(size: int) -> None:
    batch, model = two_abdomens(size), UnrolledNet(2, 4, cg_steps=3)
    for network in model.networks:
        torch.nn.init.zeros_(network[-2].weight)
    found = model(*batch.inputs)
    expected = solve_sense(*batch.inputs, START_WEIGHT, steps=START_STEPS)
    for weight in model.log_weight.exp():
        expected = solve_sense(*batch.inputs, weight, expected, steps=3)
    assert found.dtype == torch.complex64
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_the_unrolled_net_learns_and_so_does_its_data_consistency() -> None:
    torch.manual_seed(0)
    batch, model = two_abdomens(), UnrolledNet(2, 8)
    before = model.log_weight.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        loss = (model(*batch.inputs) - batch.target).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert (model.log_weight - before).abs().min() > 1e-2


def test_cascades_share_one_network_if_asked() -> None:
    own, shared = (UnrolledNet(3, 8, shared=shared) for shared in (False, True))
    assert parameter_count(own) - 3 == 3 * (parameter_count(shared) - 3)
    batch = two_abdomens()
    with torch.no_grad():
        before = shared(*batch.inputs)
        shared.networks[0][-2].bias += 0.1
        assert (shared(*batch.inputs) - before).abs().mean() > 1e-3


def test_the_project_comes_with_every_network() -> None:
    trained = [c for runs_of in COMPARISONS.values() for c in runs_of("full") if c.label not in CLASSICAL]
    assert set(pretrained_names()) == {f"{c.comparison}/{c.label}" for c in trained}
    for name in pretrained_names():
        assert parameter_count(load_pretrained(name)) > 10_000


@pytest.mark.parametrize("anatomy", [pytest.param("brain", marks=NEEDS_BRAINS), "abdomen"])
def test_pretrained_networks_reconstruct(anatomy: str) -> None:
    assert anatomy in ANATOMIES
    network = load_pretrained(f"{anatomy}/perp_l2")
    assert isinstance(network, UnrolledNet) and not network.training
    assert network.config["loss"] == "perp_l2" and network.config["weight"] == WEIGHTS["recon"]["perp_l2"]
    batch = PhantomRecon("test", anatomy=anatomy, accelerations=(4,)).batch(range(4))
    with torch.no_grad():
        found, before = (psnr(x, batch.target, batch.foreground) for x in (network(*batch.inputs), batch.zero_filled))
    assert (found > before + 2).all()


def test_damaged_networks_and_unknown_names_are_said(empty_project: Path) -> None:
    folder = empty_project / "data" / "pretrained" / "brain"
    folder.mkdir(parents=True, exist_ok=True)
    record = {"class": "UNet", "arguments": json.dumps({"chans": 4, "num_pool_layers": 1}), "config": "{}"}
    weights = UNet(4, 1).state_dict()
    save_file({k: w.contiguous() for k, w in weights.items()}, folder / "l2.safetensors", record)
    assert isinstance(load_pretrained("brain/l2"), UNet)
    with pytest.raises(ValueError, match="name: expected one of brain/l2, got 'brain/l3'"):
        load_pretrained("brain/l3")
    save_file({"out.bias": weights["out.bias"]}, folder / "l2.safetensors", record)
    with pytest.raises(ValueError, match="l2.safetensors: damaged, or not of today's"):
        load_pretrained("brain/l2")
    (folder / "l2.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match="l2.safetensors: damaged"):
        load_pretrained("brain/l2")
