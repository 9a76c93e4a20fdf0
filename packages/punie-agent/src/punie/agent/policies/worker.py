"""The child process in which a project's own policies run: a job in on stdin, a report out."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import msgspec

from punie.agent.policies.base import Finding, Policy
from punie.agent.policies.load import policies_of
from punie.agent.policies.project import Job, Report


def main() -> None:
    """Run the job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    # What a policy prints must not be taken for the report.
    report_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    report_to.write(msgspec.json.encode(run(job)))
    report_to.close()


def run(job: Job) -> Report:
    """Load and run the policies; each that fails is named with its reason."""
    findings: list[Finding] = []
    broken: dict[str, str] = {}
    for file in job.files:
        try:
            policies = _load(Path(file))
        except (Exception, SystemExit) as error:  # noqa: BLE001 the edge: somebody else's code
            broken[Path(file).name] = f"{type(error).__name__}: {error}"
            continue
        if not policies:
            broken[Path(file).name] = "it holds no policy"
        for policy in policies:
            for change in job.changes:
                try:
                    findings += policy(change)
                except (Exception, SystemExit) as error:  # noqa: BLE001 as above
                    broken[policy.name] = f"{type(error).__name__}: {error}"
    return Report(findings, broken)


def _load(path: Path) -> list[Policy]:
    name = f"punie_project_policy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return policies_of(module)


if __name__ == "__main__":
    main()
