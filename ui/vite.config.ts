import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// The fake build is for working on the screens and for their pictures. It must never land in `dist`, which the
// program embeds.
export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  clearScreen: false,
  server: { port: 5173, strictPort: true },
  build: {
    outDir: mode === "fake" ? "node_modules/.fake-dist" : "dist",
    target: ["es2022", "safari16.4"],
    // A data: address would break the content security policy.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  resolve: mode === "test" ? { conditions: ["browser"] } : {},
  test: {
    environment: "jsdom",
    include: ["tests/**/*.test.ts"],
    setupFiles: ["tests/setup.ts"],
    restoreMocks: true,
    // A walk through a whole form takes long on a slow machine that builds at the same time.
    testTimeout: 30_000,
  },
}));
