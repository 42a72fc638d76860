package dev.zeusd.ffm.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** What becomes of the bytes of a driver. */
class DriverTextTest {
  private static String read(byte[] bytes) {
    return DriverText.read(MemorySegment.ofArray(bytes));
  }

  private static String read(String text) {
    return read(text.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void textIsText() {
    assertEquals("NVIDIA H100 80GB HBM3", read("NVIDIA H100 80GB HBM3\0\0rest"));
    assertEquals("no zero", read("no zero"));
    assertEquals("\u9ad8\u6027\u80fd \u00b5", read("\u9ad8\u6027\u80fd \u00b5 "));
  }

  /** Also of eight bits, and what turns the direction of writing. */
  @Test
  void whatTakesEffectOnATerminalIsNone() {
    assertEquals("?[31mred", read("\u001b[31mred"));
    assertEquals("?31mred", read("\u009b31mred"));
    assertEquals("a?b?c?d?e", read("a\u202eb\u2028c\u0007d\u200fe"));
    assertEquals("???", read(new byte[] {-1, -2, -3, 0}));
  }
}
