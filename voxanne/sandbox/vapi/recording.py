"""A call's recording: some seconds of a quiet tone, as a real WAV file."""

from __future__ import annotations

import io
import math
import struct
import wave

SAMPLES_A_SECOND = 8_000
PITCH = 440
LOUDNESS = 3_000
LONGEST_SECONDS = 600.0


def tone(seconds: float) -> bytes:
    """Mono, 16 bits."""
    count = int(SAMPLES_A_SECOND * min(max(seconds, 0.01), LONGEST_SECONDS))
    wave_length = SAMPLES_A_SECOND // 40
    one = [int(LOUDNESS * math.sin(2 * math.pi * PITCH * n / SAMPLES_A_SECOND)) for n in range(wave_length)]
    block = struct.pack(f"<{wave_length}h", *one)
    kept = io.BytesIO()
    with wave.open(kept, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLES_A_SECOND)
        file.writeframes((block * (count // wave_length + 1))[: count * 2])
    return kept.getvalue()
