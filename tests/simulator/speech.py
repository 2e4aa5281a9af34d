"""Words to sound and sound to words, in one worker process.

A process of its own because recognising holds the GIL for a good part of a second, and one because neither
library is re-entrant. Source: espeak-ng 1.52 ``speak_lib.h`` and pocketsphinx 5.1 (checked 2026-11-20).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from typing import NamedTuple, TypeVar

import av
import espeakng_loader
import numpy as np
import pocketsphinx
from av.audio.resampler import AudioResampler

HEARD_HZ = 16_000  # what the recogniser takes
SPOKEN_HZ = 48_000  # what Opus takes
PACKET_SAMPLES = 960  # 20 ms
DEADLINE_S = 30.0
ROOM_NOISE = 20  # of 32768: 64 dB below full scale

SYNCHRONOUS, DONT_EXIT, UTF8 = 2, 0x8000, 1  # espeak-ng's AUDIO_OUTPUT_SYNCHRONOUS and two flags
RATE, PITCH = 1, 3  # espeak-ng's numbers of two parameters

VOICES = {  # realtime voice -> espeak variant, pitch 0..100
    "alloy": ("en-us+f2", 50),
    "ash": ("en-us+m3", 45),
    "ballad": ("en-us+m7", 55),
    "coral": ("en-us+f3", 60),
    "echo": ("en-us+m1", 50),
    "sage": ("en-us+f4", 45),
    "shimmer": ("en-us+f5", 60),
    "verse": ("en-us+m4", 55),
    "marin": ("en-us+f3", 50),
    "cedar": ("en-us+m7", 35),
}

T = TypeVar("T")
Samples = ctypes.POINTER(ctypes.c_short)
OnSamples = ctypes.CFUNCTYPE(ctypes.c_int, Samples, ctypes.c_int, ctypes.c_void_p)


class SpeechFailed(Exception):
    """The worker died or took too long. The next request gets a fresh one."""


class Speech:
    """The worker process, started by its first use."""

    def __init__(self) -> None:
        self._worker: ProcessPoolExecutor | None = None

    async def transcribe(self, samples: bytes) -> str:
        """The English words in 16 kHz mono 16-bit audio, lower case; empty when there are none."""
        return await self._ask(partial(transcribe, samples))

    async def speak(self, text: str, voice: str, words_a_minute: int) -> list[bytes]:
        """The text as Opus packets of 20 ms each."""
        return await self._ask(partial(speak, text, voice, words_a_minute))

    async def warm_up(self) -> None:
        """Load the models, so that the first turn does not wait for them."""
        await self.transcribe(bytes(HEARD_HZ // 5))

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.to_thread(worker.shutdown, wait=True, cancel_futures=True)

    async def _ask(self, work: Callable[[], T]) -> T:
        if self._worker is None:
            spawn = multiprocessing.get_context("spawn")  # a fork would copy live sockets and threads
            self._worker = ProcessPoolExecutor(1, mp_context=spawn, initializer=end_with_parent)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except (TimeoutError, BrokenProcessPool) as exc:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._worker = None
            raise SpeechFailed(type(exc).__name__) from exc


def end_with_parent() -> None:
    """In the worker: leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(0)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def transcribe(samples: bytes) -> str:
    """In the worker."""
    recogniser = decoder()
    recogniser.start_utt()
    with contextlib.closing(Utterance(recogniser)):
        recogniser.process_raw(levelled(samples), full_utt=True)
    hypothesis = recogniser.hyp()
    return hypothesis.hypstr.strip() if hypothesis else ""


def speak(text: str, voice: str, words_a_minute: int) -> list[bytes]:
    """In the worker."""
    variant, pitch = VOICES.get(voice, VOICES["alloy"])
    espeak = synthesiser()
    library = espeak.library
    espeak.collected.clear()
    library.espeak_SetVoiceByName(variant.encode())
    library.espeak_SetParameter(RATE, words_a_minute, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    document = text.encode() + b"\0"
    library.espeak_Synth(document, len(document), 0, 1, 0, UTF8, None, None)
    return opus_packets(b"".join(espeak.collected), espeak.hz)


class Synthesiser(NamedTuple):
    library: ctypes.CDLL
    callback: object  # C calls it, so it must live as long as the library
    collected: list[bytes]  # where the callback puts 16-bit samples
    hz: int


class Utterance:
    """Ends the recogniser's utterance, whatever happened in between; else it refuses the next one."""

    def __init__(self, recogniser: pocketsphinx.Decoder) -> None:
        self.close = recogniser.end_utt


def levelled(samples: bytes) -> bytes:
    """The audio at an even loudness and with a room's faint noise.

    Browsers' automatic gain moves the level by 6 dB and more. The model was trained on rooms: without the
    noise it took "good morning" for "the mining" every time.
    """
    audio = np.frombuffer(samples, np.int16).astype(np.float32)
    peak = float(np.abs(audio).max(initial=0))
    gain = min(16_000 / peak, 20.0) if peak else 1.0
    noise = np.random.default_rng(0).normal(0, ROOM_NOISE, len(audio))
    return (audio * gain + noise).astype(np.int16).tobytes()


def opus_packets(samples: bytes, hz: int) -> list[bytes]:
    """Mono 16-bit audio as Opus packets of 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.format, encoder.layout, encoder.sample_rate, encoder.bit_rate = "s16", "mono", SPOKEN_HZ, 32_000
    encoder.options = {"application": "voip"}
    resampler = AudioResampler("s16", "mono", SPOKEN_HZ, frame_size=PACKET_SAMPLES)
    audio = np.frombuffer(samples, np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(audio, format="s16", layout="mono")
    frame.sample_rate = hz
    whole = [part for part in resampler.resample(frame) if part.samples == PACKET_SAMPLES]
    return [bytes(packet) for part in [*whole, None] for packet in encoder.encode(part)]


@cache
def decoder() -> pocketsphinx.Decoder:
    """The worker's one recogniser (about 120 MB), with the open English model of its wheel."""
    return pocketsphinx.Decoder(samprate=HEARD_HZ, loglevel="FATAL")


@cache
def synthesiser() -> Synthesiser:
    """The worker's one synthesiser."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    collected: list[bytes] = []

    def collect(samples: object, count: int, _events: object) -> int:
        if samples and count:
            collected.append(ctypes.string_at(samples, count * 2))  # type: ignore[arg-type]
        return 0

    callback = OnSamples(collect)
    hz = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), DONT_EXIT)
    library.espeak_SetSynthCallback(callback)
    return Synthesiser(library, callback, collected, hz)
