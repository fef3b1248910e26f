import { InputError } from '@infalign/core';

/** The store is out of reach, full, or denies access: this says nothing of what is in it. */
export class StoreUnavailable extends InputError {}
