"use strict";
// The exact account of a state: who put how much into it, and how much of that is still there.

/** One layer's account, in float32 as stored; sums and products are taken in double. */
class Account {
  constructor(stored) {
    Object.assign(this, stored); // units, all, steps, state, reverse
    this.keeps = once(() => decoded(stored.keep, Float32Array));
    this.writes = once(() => decoded(stored.write, Float32Array));
    this.start = once(() => decoded(stored.initial, Float32Array));
    this.place = new Map(stored.units.map((unit, k) => [unit, k]));
  }

  has(unit, t) {
    return this.place.has(unit) && t < this.steps;
  }

  /**
   * What a unit's state after step t is made of. Written out, it is the sum over all steps k so far
   * of what k wrote times the product of what every step since has kept, and what is left of the
   * state that it started from.
   */
  of(unit, t) {
    const from = this.place.get(unit) * this.steps;
    const keep = this.keeps(), write = this.writes();
    const steps = [], written = [], now = [];
    let kept = 1, total = 0;
    const [end, by] = this.reverse ? [this.steps, 1] : [-1, -1];
    for (let k = t; k !== end; k += by) {
      const there = write[from + k] * kept;
      steps.push(k);
      written.push(write[from + k]);
      now.push(there);
      total += there;
      kept *= keep[from + k];
    }
    const initial = this.start()[this.place.get(unit)];
    const rest = initial * kept;
    return { steps, written, now, initial, rest, total: total + rest };
  }
}

const ACCOUNTS = PAGE.ledgers.map((stored) => stored && new Account(stored));
