"""Sixteen replicas on one queue: every job is started once."""

from collections import Counter

from shared.contracts.jobs import Phase
from tests.claimers import fill, race, units_on


def test_sixteen_claimers_start_every_job_once(database_url: str) -> None:
    with units_on(database_url) as units:
        made = fill(units, 400)
        found = race(units, claimers=16)
        assert found.claimed == Counter(made)
        attempts = units.read(lambda uow: [uow.attempts.of_job(job_id) for job_id in made])
        assert {(len(own), own[0].number) for own in attempts} == {(1, 1)}
        jobs = units.read(lambda uow: [uow.jobs.find(job_id) for job_id in made])
        assert {job.phase for job in jobs if job} == {Phase.STARTING}


def test_claims_follow_turns_across_lanes(database_url: str) -> None:
    with units_on(database_url) as units:
        made = fill(units, 300)
        started = list(race(units, claimers=1, batch=50).claimed)
        urgent = [job_id for number, job_id in enumerate(made) if number % 3 == 2]
        assert set(started[: len(urgent)]) == set(urgent)
