import tseslint from 'typescript-eslint';

// Type-aware rules: a daemon must not have floating promises, and `any` hides the shapes that the contract fixes.
export default tseslint.config(
  {
    ignores: [
      'dist/',
      'coverage/',
      'node_modules/',
      '**/build/',
      // AssemblyScript: its compiler checks it, and a test runs that.
      'wasm/',
      'examples/**/*.html',
      '.dependency-cruiser.cjs',
    ],
  },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-syntax': [
        'error',
        { selector: "Identifier[name='TODO']", message: 'open questions are issues with a number' },
      ],
      eqeqeq: ['error', 'always'],
      'no-console': 'error',
    },
  },
  {
    files: ['src/ring/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        'Buffer',
        'process',
        'console',
        'setTimeout',
        'setImmediate',
        'performance',
        'Date',
        'Promise',
      ],
    },
  },
  {
    files: ['src/client/**', 'src/wire/**'],
    rules: { 'no-restricted-globals': ['error', 'Buffer', 'process'] },
  },
  {
    files: ['test/**', 'bench/**', 'scripts/**', 'examples/**'],
    rules: { 'no-console': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  { files: ['**/*.js', '**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
);
