"""A pool of processes that are none: the same orders and answers, at once and in this one."""

import io

from glasscell.comparing.processes.child import Server
from glasscell.comparing.processes.messages import Answer, answer_of_line, order_as_line


class InProcess:
    """In place of `ProcessPool`. `orders` keeps what was asked; `meddle` may answer instead."""

    def __init__(self, meddle=lambda order: None):
        self.meddle = meddle
        self.orders: list = []

    def __call__(self, jobs):
        self.jobs = jobs
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def each(self, orders, watch=lambda k, answer: None):
        for k, order in enumerate(orders):
            self.orders.append(order)
            watch(k, Answer("begun"))
            answer = self.meddle(order)
            if answer is not None:
                yield k, answer
                continue
            said = io.StringIO()
            Server(said)(order_as_line(k, order))
            answers = [answer_of_line(line)[1] for line in said.getvalue().splitlines()]
            for answer in answers[:-1]:
                watch(k, answer)
            yield k, answers[-1]
