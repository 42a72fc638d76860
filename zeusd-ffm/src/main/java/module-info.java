/** NVML for Java, by the Foreign Function and Memory API. */
module dev.zeusd.ffm {
  exports dev.zeusd.ffm.nvml;
}
