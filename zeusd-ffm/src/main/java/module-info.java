/** NVML, AMD SMI, and a few calls of libc, for Java by the Foreign Function and Memory API. */
module dev.zeusd.ffm {
  requires jdk.unsupported;

  exports dev.zeusd.ffm.amdsmi;
  exports dev.zeusd.ffm.driver;
  exports dev.zeusd.ffm.nvml;
  exports dev.zeusd.ffm.posix;
}
