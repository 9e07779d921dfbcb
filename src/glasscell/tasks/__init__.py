"""What people train: one package a task."""

from glasscell.errors import UserError

__all__ = ["UserError"]
