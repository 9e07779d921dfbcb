"""What cells are compared on: text, a series, or a classic task, each in one file."""

from glasscell.comparing.workloads.description import description_of
from glasscell.comparing.workloads.workload import Feed, Workload, read_workload

__all__ = ["Feed", "Workload", "description_of", "read_workload"]
