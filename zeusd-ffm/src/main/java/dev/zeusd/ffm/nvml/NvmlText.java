package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.driver.DriverText;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Texts of NVML's: where {@link DriverText} finds none, the call has failed. */
final class NvmlText {
  private NvmlText() {}

  /**
   * What a function tells of a device, or of an instance of one; for who has passed the gate.
   *
   * @param size of the buffer that it needs
   */
  static String ask(NvmlCalls calls, NvmlFunction function, MemorySegment device, int size)
      throws NvmlException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment text = call.allocate(size);
      function.check(calls.call(function, device, text, size));
      return read(function, text);
    }
  }

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
