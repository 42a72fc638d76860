package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.DriverText;
import java.lang.foreign.MemorySegment;

/** Texts that the driver writes into a buffer, which may be anything. */
final class NvmlText {
  private NvmlText() {}

  /**
   * The text, as {@link DriverText#read} has it.
   *
   * @throws NvmlException if that leaves nothing, as in a buffer that the driver left untouched
   */
  static String read(NvmlFunction function, MemorySegment buffer) throws NvmlException {
    String text = DriverText.read(buffer);
    if (DriverText.isNone(text)) {
      throw new NvmlException(function, text.isEmpty() ? "an empty text" : "what is no text");
    }
    return text;
  }
}
