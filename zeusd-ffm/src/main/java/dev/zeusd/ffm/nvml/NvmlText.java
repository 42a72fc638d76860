package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Texts that the driver writes into a buffer, which may be anything. */
final class NvmlText {
  private NvmlText() {}

  /**
   * What stands before the first zero, or before the end if there is none. What is no text becomes
   * a question mark.
   *
   * @throws NvmlException if that leaves nothing, as in a buffer that the driver left untouched
   */
  static String read(NvmlFunction function, MemorySegment buffer) throws NvmlException {
    byte[] bytes = buffer.toArray(JAVA_BYTE);
    int length = 0;
    while (length < bytes.length && bytes[length] != 0) {
      length++;
    }
    String text =
        new String(bytes, 0, length, StandardCharsets.UTF_8)
            .replaceAll("[\\p{Cntrl}\\p{Cn}\uFFFD]", "?")
            .strip();
    if (text.chars().allMatch(c -> c == '?')) {
      throw new NvmlException(function, text.isEmpty() ? "an empty text" : "what is no text");
    }
    return text;
  }
}
