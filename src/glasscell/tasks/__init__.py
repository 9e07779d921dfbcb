"""What people train: one package a task."""

from glasscell.tasks.user_error import UserError

__all__ = ["UserError"]
