package dev.zeusd.testkit.nvml;

import dev.zeusd.testkit.control.ControlFile;

/** One instance of a fake GPU that is partitioned (MIG): setters return this, to be chained. */
public final class FakeInstance {
  private final ControlFile file;
  private final long at;

  FakeInstance(ControlFile file, long at) {
    this.file = file;
    this.at = at;
  }

  /**
   * Makes it, with this UUID and 1 GiB of its 10 GiB in use, or makes it anew.
   *
   * @param uuid as the driver tells it
   * @param gpuInstanceId as the driver numbers it
   * @param computeInstanceId as the driver numbers it
   * @return this
   */
  public FakeInstance create(String uuid, int gpuInstanceId, int computeInstanceId) {
    file.setInt(at, 0);
    file.setText(at + 32, 48, uuid);
    file.setText(at + 80, 48, "NVIDIA Fake GPU MIG 1g.10gb");
    file.setInt(at + 4, gpuInstanceId);
    file.setInt(at + 8, computeInstanceId);
    memoryBytes(1L << 30, 10L << 30).error(0);
    file.setInt(at, 1);
    return this;
  }

  /** Its handles are refused from now on. */
  public void destroy() {
    file.setInt(at, 0);
  }

  /**
   * Its memory.
   *
   * @param used how much is in use
   * @param total how much there is
   * @return this
   */
  public FakeInstance memoryBytes(long used, long total) {
    file.setLong(at + 16, used);
    file.setLong(at + 24, total);
    return this;
  }

  /**
   * What all that is asked of it answers with; 0: it works.
   *
   * @param nvmlReturn an {@code nvmlReturn_t}, such as 15 for GPU_IS_LOST
   * @return this
   */
  public FakeInstance error(int nvmlReturn) {
    file.setInt(at + 12, nvmlReturn);
    return this;
  }
}
