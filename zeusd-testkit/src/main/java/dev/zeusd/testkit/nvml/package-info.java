/** A fake of NVIDIA's driver library, for tests that go through the real native calls. */
package dev.zeusd.testkit.nvml;
