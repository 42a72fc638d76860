/** Devices, a driver and a clock for tests of programs that embed zeusd. */
module dev.zeusd.testkit {
  requires transitive dev.zeusd.core;

  exports dev.zeusd.testkit;
  exports dev.zeusd.testkit.nvml;
}
