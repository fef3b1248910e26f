import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['**/dist', '**/out-tsc', '**/generated', '.cache', '.nx', 'runs', 'test-results', 'protos']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { '@nx': nx },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        {
          allow: ['.*/vitest.shared.mjs', '.*/tools/kafka/index.mjs', '.*/tools/seaweedfs/index.mjs'],
          // Lower layers never know upper ones; what is pure never imports what is not. See ARCHITECTURE.md.
          depConstraints: [
            { sourceTag: 'layer:core', onlyDependOnLibsWithTags: ['layer:none'] },
            { sourceTag: 'layer:library', onlyDependOnLibsWithTags: ['layer:core', 'layer:library'] },
            { sourceTag: 'layer:stage', onlyDependOnLibsWithTags: ['layer:core', 'layer:library'] },
            {
              sourceTag: 'layer:assembly',
              onlyDependOnLibsWithTags: ['layer:core', 'layer:library', 'layer:stage', 'layer:assembly'],
            },
            {
              sourceTag: 'layer:experiment',
              onlyDependOnLibsWithTags: ['layer:core', 'layer:library', 'layer:stage', 'layer:assembly'],
            },
            {
              sourceTag: 'layer:app',
              onlyDependOnLibsWithTags: [
                'layer:core',
                'layer:library',
                'layer:stage',
                'layer:assembly',
                'layer:experiment',
              ],
            },
          ],
        },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'List the exported names.' },
        { selector: "MemberExpression[object.name='Math'][property.name='random']", message: 'Use seededRandom.' },
      ],
    },
  },
  {
    files: ['libs/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.fixture.ts', '**/vitest.config.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Configuration enters through main.ts.' },
        { object: 'process', property: 'argv', message: 'Configuration enters through main.ts.' },
      ],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { paths: [{ name: '@tensorflow/tfjs-node', message: 'The backend is chosen and loaded by libs/backend.' }] },
      ],
    },
  },
  {
    files: ['**/*.test.ts', '**/*.fixture.ts'],
    rules: { '@typescript-eslint/unbound-method': 'off' },
  },
  {
    files: ['libs/infalign/src/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.fixture.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^[^.]', message: 'The mathematics is pure: it imports nothing.' }] },
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        fetch: 'readonly',
        Buffer: 'readonly',
        performance: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
      },
    },
    rules: { 'no-undef': 'error', 'no-unused-vars': ['error', { varsIgnorePattern: '^_$' }] },
  },
  prettier,
);
