import { defineProject, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.mjs';

const config = mergeConfig(
  shared,
  defineProject({
    test: { name: '@infalign/checkpoint', env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' } },
  }),
);
// The AWS SDK's `module` files are for bundlers: Node.js itself cannot load them.
const conditions = config.ssr.resolve.conditions.filter((condition) => condition !== 'module');

export default { ...config, ssr: { resolve: { conditions } } };
