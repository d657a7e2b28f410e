import type { Device, LoadedModel } from '../bindings';

/** Whether a device is the processor. */
export function isProcessor(device: string): boolean {
  return /^cpu/i.test(device.trim());
}

/** The devices of this machine that could compute in place of the processor. */
export function accelerators(devices: Device[]): Device[] {
  return devices.filter((device) => !isProcessor(device.name));
}

/**
 * The accelerators that lie idle: everything that is loaded computes on the processor though
 * there are others. Empty where nothing is loaded, since nothing is known then.
 */
export function idleAccelerators(loaded: LoadedModel[], devices: Device[]): Device[] {
  if (loaded.length === 0 || loaded.some((model) => !isProcessor(model.device))) return [];
  return accelerators(devices);
}
