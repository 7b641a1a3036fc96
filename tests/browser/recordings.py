"""Recordings for comparisons, made in the browser."""

from __future__ import annotations

RECORDINGS = """
    const { Recording } = await import("/static/measure/recording.js");
    const { seeded } = await import("/static/compare/bootstrap.js");
    /** Latencies in waves, so that messages near each other are slow together. */
    const recorded = (seed, shift, count, producer = "p", every = 100) => {
        const random = seeded(seed);
        const recording = new Recording();
        for (let i = 0; i < count; i += 1) {
            const value = 2 + Math.sin(i / 50) + random() + shift;
            recording.record({
                at: i * every, latency: { value, error: 0.2 },
                payload: 80, bytes: 90, producer, flags: 0,
            });
        }
        return recording;
    };
    const finish = (work) => {
        for (;;) {
            const { done, value } = work.next();
            if (done) return value;
        }
    };
    const schedule = { names: ["p"], others: [] };
"""
