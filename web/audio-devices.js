/** @typedef {{id: string, label: string}} Device */
/** @typedef {{microphones: Device[], speakers: Device[]}} AudioDevices */

/**
 * What can be listened with and spoken through. Labels are empty until the person once allowed the microphone.
 * Speakers: none where the browser does not let a page choose.
 * @param {HTMLMediaElement} speaker @returns {Promise<AudioDevices>}
 */
export async function listAudioDevices(speaker) {
  const known = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  const of = (/** @type {MediaDeviceKind} */ kind) =>
    known.filter((device) => device.kind === kind).map(({ deviceId, label }) => ({ id: deviceId, label }));
  return { microphones: of("audioinput"), speakers: "setSinkId" in speaker ? of("audiooutput") : [] };
}

/** @param {() => void} listener @param {AbortSignal} [signal] */
export function onDevicesChanged(listener, signal) {
  navigator.mediaDevices?.addEventListener("devicechange", listener, { signal });
}
