"""Jobs as the scheduler sees them, for its tests."""

import dataclasses
from collections.abc import Iterator

from worker.jobs import ANY_COMPANY, Job, JobLane, Prepared, Sampling

WORK = Prepared(model="m", prompt=[1], max_tokens=1, sampling=Sampling())


def job(name: str, lane: JobLane = "norm", company: int = ANY_COMPANY, choices: int = 1) -> Job:
    return Job(name, lane, dataclasses.replace(WORK, choices=choices), company)


def names(jobs: Iterator[Job]) -> str:
    return " ".join(job.id for job in jobs)
