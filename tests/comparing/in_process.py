"""Workers that are no processes: the same orders and answers, at once and in this one."""

import io
import json

from glasscell.comparing.worker import Server


class InProcess:
    """In place of `Workers`. `orders` keeps what was asked; `meddle` may answer instead."""

    def __init__(self, meddle=lambda order: None):
        self.meddle = meddle
        self.orders: list[dict] = []

    def __call__(self, jobs):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def each(self, orders, watch=lambda k, event: None):
        for k, order in enumerate(orders):
            self.orders.append(order)
            watch(k, {"event": "begun"})
            answer = self.meddle(order)
            if answer is not None:
                yield k, answer
                continue
            said = io.StringIO()
            Server(said)({"number": k, **json.loads(json.dumps(order))})
            events = [json.loads(line) for line in said.getvalue().splitlines()]
            for event in events[:-1]:
                watch(k, event)
            yield k, events[-1]
