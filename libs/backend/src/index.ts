export { chooseDevice, thisMachine, type Device, type Machine } from './choose-device.js';
export { loadBackend, type BackendOptions } from './load-backend.js';
