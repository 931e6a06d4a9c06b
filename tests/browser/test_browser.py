"""JupyterLab and the book as a reader sees them, in headless Chromium.

`make test-browser`. Needs Chromium (`PERPCORE_CHROMIUM`, or chromium on the PATH) and the extra
browser; is skipped, with a reason, without them.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "book" / "_build" / "html"
CHROMIUM = os.environ.get("PERPCORE_CHROMIUM") or shutil.which("chromium")
TOKEN = "test"
SETTINGS = """{
"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false},
"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the extra browser is not installed (make test-browser does)"
    )
    if not CHROMIUM:
        pytest.skip("no Chromium: install it, or name it in PERPCORE_CHROMIUM")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[tuple[str, Path]]:
    """Address and notebook folder of a JupyterLab with its own settings on a copy of notebooks/."""
    folder = tmp_path_factory.mktemp("lab")
    work = folder / "notebooks"
    shutil.copytree(ROOT / "notebooks", work, ignore=shutil.ignore_patterns(".*"))
    for name in ("data", "figures"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "app").mkdir()
    (folder / "app" / "overrides.json").write_text(SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={work}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.extension_manager=readonly", f"--LabApp.app_settings_dir={folder / 'app'}"]
    env = dict(os.environ)
    for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        env[f"JUPYTER_{name}"] = str(folder / name)
    for name in ("SETTINGS_DIR", "WORKSPACES_DIR"):
        env[f"JUPYTERLAB_{name}"] = str(folder / name)
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=1)
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                pytest.fail((folder / "log").read_text()[-2000:])
            yield address, work
        finally:
            server.terminate()
            server.wait(20)


def run_all(page: object, address: str, name: str) -> None:
    """Open a notebook, run all cells, wait until the kernel is idle again, save."""
    page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
    idle = page.get_by_text(re.compile(r"\| Idle"))
    idle.wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    waiting = page.locator(".jp-InputPrompt", has_text="[*]")
    waiting.first.wait_for(timeout=30_000)
    page.wait_for_function(
        "() => ![...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent.includes('*'))",
        timeout=180_000,
    )
    idle.wait_for(timeout=30_000)
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)


@pytest.mark.parametrize("name", ["00_start_here", "01_geometry", "03_magnitude_bias"])
def test_a_notebook_runs_in_jupyterlab_and_is_saved(browser: object, lab: tuple[str, Path], name: str) -> None:
    address, work = lab
    path = work / f"{name}.ipynb"
    empty = nbformat.read(path, as_version=4)
    for cell in empty.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    nbformat.write(empty, path)
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    run_all(page, address, path.name)
    saved = nbformat.read(path, as_version=4)
    code = [c for c in saved.cells if c.cell_type == "code"]
    assert all(c.execution_count for c in code)
    kinds = [o.output_type for c in code for o in c.outputs]
    assert kinds and "error" not in kinds
    assert not page.locator(".jp-RenderedText[data-mime-type*='stderr']").count()
    if name != "00_start_here":
        move_a_slider(page)
    if shots := os.environ.get("PERPCORE_SCREENSHOTS"):
        page.screenshot(path=Path(shots) / f"lab_{name}.png")
    page.close()


def move_a_slider(page: object) -> None:
    picture = page.locator(".widget-html img").first
    picture.scroll_into_view_if_needed(timeout=10_000)
    before, spoken = picture.get_attribute("src"), picture.get_attribute("alt")
    assert before and spoken
    handle = page.locator(".noUi-handle").first
    handle.focus()
    for _ in range(3):
        handle.press("ArrowRight")
    for _ in range(100):
        picture = page.locator(".widget-html img").first
        if picture.get_attribute("src") != before and picture.get_attribute("alt") != spoken:
            return
        page.wait_for_timeout(100)
    pytest.fail("the slider moved and the figure did not change")


@pytest.mark.parametrize("folder", ["", "exercises/", "solved/"])
def test_every_link_works_in_jupyterlab_and_opening_changes_nothing(
    browser: object, lab: tuple[str, Path], folder: str
) -> None:
    address, work = lab
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    for path in sorted((work / folder).glob("[0-9]*.ipynb")):
        before = path.read_bytes()
        page.goto(f"{address}/lab/tree/{folder}{path.name}?token={TOKEN}&reset", timeout=120_000)
        page.locator(".jp-RenderedMarkdown a").first.wait_for(timeout=60_000, state="attached")  # anchors are hidden
        if not folder:  # a kernel says what it is, and JupyterLab writes that into the notebook
            page.get_by_text(re.compile(r"\| Idle")).wait_for(timeout=60_000)
        links = page.locator(f".jp-RenderedMarkdown a[href^='{address}']").evaluate_all("a => a.map(x => x.href)")
        local = {link for link in links if "/files/" in link}
        assert local, path
        for link in local:
            assert page.request.get(link).ok, f"{folder}{path.name}: {link}"
        if not folder:
            page.wait_for_timeout(1000)
        if nbformat.read(path, 4).metadata.language_info.version == platform.python_version():
            assert not page.locator(".jp-mod-dirty").count(), f"{folder}{path.name} is marked as changed"
        assert path.read_bytes() == before
        login = {"Authorization": f"token {TOKEN}"}
        for session in page.request.get(f"{address}/api/sessions", headers=login).json():
            page.request.delete(f"{address}/api/sessions/{session['id']}", headers=login)
    page.close()


def test_figures_fill_jupyterlab(browser: object, lab: tuple[str, Path]) -> None:
    address, _ = lab
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{address}/lab/tree/08_ablations.ipynb?token={TOKEN}&reset", timeout=120_000)
    image = page.locator(".jp-RenderedImage img").first
    image.wait_for(timeout=60_000)
    share = image.evaluate("i => i.clientWidth / i.closest('.jp-OutputArea-output').clientWidth")
    assert share > 0.95
    page.close()


@pytest.mark.parametrize("folder", ["", "exercises", "solved"])
def test_links_of_the_notebooks_lead_somewhere(folder: str) -> None:
    """Within notebooks/, which is JupyterLab's root."""
    for path in (ROOT / "notebooks" / folder).glob("*.ipynb"):
        text = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            found = (path.parent / link).resolve()
            assert found.exists(), f"{path.name}: {link}"
            assert found.is_relative_to(ROOT / "notebooks"), link


@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_is_cut_on_any_page_of_the_book(browser: object, width: int) -> None:
    if not (HTML / "index.html").exists():
        pytest.skip("the book is not built (make book)")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.route(re.compile("mathjax"), lambda route: route.abort())  # the slow part; formulas have their own test
    for path in sorted(HTML.rglob("*.html")):
        page.goto(path.as_uri(), timeout=120_000, wait_until="domcontentloaded")
        if not page.locator("article").count():
            continue  # an index of modules
        screens = page.evaluate("document.documentElement.scrollHeight") / 900
        assert screens <= 8 or width < 1200, f"{path.name}: {screens:.1f} screens; see CUTS in book/build.py"
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        cut = page.locator("article pre").evaluate_all(
            "all => all.filter(p => p.scrollWidth > p.clientWidth + 1).map(p => p.innerText)"
        )
        assert not cut, f"{path.name}: {cut[0][:200]}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
    page.close()


def test_the_book_can_be_searched(browser: object) -> None:
    if not (HTML / "index.html").exists():
        pytest.skip("the book is not built (make book)")
    page = browser.new_page()
    page.goto((HTML / "search.html").as_uri() + "?q=rejection", timeout=60_000)
    page.locator("#search-results li a", has_text="Geometry").first.wait_for(timeout=20_000)
    page.close()


PAGES = {
    "index.html": "table",
    "notebooks/01_geometry.html": "img",
    "notebooks/11_when_it_pays.html": "table",
    "notebooks/07_registration_results.html": "img",
    "notebooks/exercises/03_magnitude_bias.html": "details",
    "figures/tab05_claims.html": "table",
    "api.html": "dl",
}


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_book_shows_formulas_figures_and_tables(browser: object, name: str, width: int) -> None:
    if not (HTML / "index.html").exists():
        pytest.skip("the book is not built (make book)")
    outside: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("request", lambda r: outside.append(r.url) if r.url.startswith("http") else None)
    page.goto((HTML / name).as_uri())
    if name.startswith(("notebooks", "exercises")):
        page.locator("article mjx-container").first.wait_for(timeout=20_000)
        assert not page.locator("article mjx-merror").count()
        assert not re.search(r"\\\(|\\\[|\$\$", page.locator("article").first.inner_text())
    assert page.locator(f"article {PAGES[name]}").count()
    for image in page.locator("article img").all():
        image.scroll_into_view_if_needed()
        loaded = image.evaluate("i => i.decode().then(() => i.naturalWidth)")
        assert loaded > 0
        assert len(image.get_attribute("alt") or "") > 20, "no alternative text"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not outside
    if shots := os.environ.get("PERPCORE_SCREENSHOTS"):
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(shots) / f"book_{Path(name).stem}_{width}.png")
    page.close()
