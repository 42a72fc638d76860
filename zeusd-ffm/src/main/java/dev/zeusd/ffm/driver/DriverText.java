package dev.zeusd.ffm.driver;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Texts that a driver writes into a buffer, which may be anything. */
public final class DriverText {
  private DriverText() {}

  /**
   * What stands before the first zero, or before the end if there is none. What is no text becomes
   * a question mark.
   */
  public static String read(MemorySegment buffer) {
    byte[] bytes = buffer.toArray(JAVA_BYTE);
    int length = 0;
    while (length < bytes.length && bytes[length] != 0) {
      length++;
    }
    return new String(bytes, 0, length, StandardCharsets.UTF_8)
        .replaceAll("[\\p{Cc}\\p{Cf}\\p{Cn}\\p{Zl}\\p{Zp}\uFFFD]", "?")
        .strip();
  }

  /** Whether nothing of it is text, as in a buffer that the driver left untouched. */
  public static boolean isNone(String text) {
    return text.chars().allMatch(c -> c == '?');
  }
}
