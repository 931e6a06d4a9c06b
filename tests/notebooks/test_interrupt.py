"""Stop a kernel while a notebook trains, run the cell again: nothing is lost, nothing is half."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbformat
import torch
from conftest import ROOT
from jupyter_client.manager import start_new_kernel

from perpcore.experiments.configs import recon_configs
from perpcore.experiments.results import load_result
from perpcore.experiments.run import train

NOTEBOOK = "04_train_reconstruction.ipynb"


def test_an_interrupted_training_cell_can_be_run_again(empty_project: Path) -> None:
    cells = nbformat.read(ROOT / "notebooks" / NOTEBOOK, 4).cells
    code = [c.source for c in cells if c.cell_type == "code"]
    imports = next(s for s in code if "load_or_train" in s and "import" in s)
    training = next(s for s in code if "load_or_train(" in s and s is not imports)
    setup = [code[0], 'preset, own_runs, device = "smoke", True, "cpu"', imports]
    # Three runs are enough.
    setup.append("ANATOMIES, every = ['abdomen'], recon_configs\nrecon_configs = lambda *of: every(*of)[:3]")
    manager, client = start_new_kernel(cwd=str(empty_project / "notebooks"), env=dict(os.environ))
    try:

        def run(source: str) -> dict:
            reply = client.execute_interactive(source, timeout=200, output_hook=lambda message: None)
            return reply["content"]

        for source in setup:
            assert run(source)["status"] == "ok"
        client.execute(training)
        runs = empty_project / "data" / "runs" / "smoke"
        while not list(runs.glob("*.h5")):  # the first run is done
            time.sleep(0.05)
        manager.interrupt_kernel()
        content = client.get_shell_msg(timeout=60)["content"]
        assert (content["status"], content.get("ename")) == ("error", "KeyboardInterrupt")
        configs = recon_configs("smoke", ["abdomen"])[:3]
        before = {path: path.read_bytes() for path in runs.glob("*.h5")}
        assert len(before) < len(configs)
        # Just after an error the kernel answers "aborted" to what comes too early.
        while (status := run(training)["status"]) == "aborted":
            time.sleep(0.05)
        assert status == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert all(path.read_bytes() == content for path, content in before.items())
    for config in (configs[0], configs[-1]):
        result = load_result(runs / f"{config.name}.h5", config)
        assert result is not None
        torch.set_num_threads(result.provenance["threads"])  # more threads add in another order
        whole = train(config, "cpu", path=empty_project / "other" / config.name, progress=False)
        assert all(torch.equal(result.weights[n], w) for n, w in whole.weights.items())
