package dev.zeusd.server.stream;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Server-sent events as one chunk of a chunked body, put together as bytes, without text in
 * between: this runs at each tick. Used again for the next chunk.
 */
final class EventChunk {
  private static final byte[] DATA = ascii("data: ");
  private static final byte[] END_OF_EVENT = ascii("\n\n");
  private static final byte[] END_OF_LINE = ascii("\r\n");

  /** Before the events: the size in hexadecimal digits, and the end of its line. */
  private static final int MAX_DIGITS = 8;

  private static final int EVENTS = MAX_DIGITS + END_OF_LINE.length;

  private byte[] bytes = new byte[1024];
  private int end;
  private ByteBuffer chunk = ByteBuffer.allocateDirect(bytes.length);

  /** What is in a chunk, for a body that is not chunked. */
  static ByteBuffer content(ByteBuffer chunk) {
    ByteBuffer content = chunk.duplicate();
    while (content.get() != '\n') {
      // The size of the chunk.
    }
    return content.limit(content.limit() - END_OF_LINE.length);
  }

  /** A whole chunk that says nothing but that the daemon is there. */
  static ByteBuffer comment() {
    byte[] chunk = ascii("3\r\n:\n\n\r\n");
    return ByteBuffer.allocateDirect(chunk.length).put(chunk).flip();
  }

  /** Constant text for {@link #text}. */
  static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  /** Begins a chunk without events. */
  void clear() {
    end = EVENTS;
  }

  /** Begins the data of an event. */
  EventChunk beginEvent() {
    return text(DATA);
  }

  /** Ends an event. */
  void endEvent() {
    text(END_OF_EVENT);
  }

  /** Adds text, in ASCII. */
  EventChunk text(byte[] ascii) {
    ensureRoom(ascii.length);
    System.arraycopy(ascii, 0, bytes, end, ascii.length);
    end += ascii.length;
    return this;
  }

  /** Adds a number, in decimal digits. */
  EventChunk number(long value) {
    if (value < 0) {
      return text(ascii(Long.toString(value)));
    }
    int digits = 1;
    for (long rest = value / 10; rest > 0; rest /= 10) {
      digits++;
    }
    ensureRoom(digits);
    long rest = value;
    for (int at = end + digits - 1; at >= end; at--) {
      bytes[at] = (byte) ('0' + rest % 10);
      rest /= 10;
    }
    end += digits;
    return this;
  }

  private void ensureRoom(int more) {
    if (bytes.length < end + more) {
      bytes = Arrays.copyOf(bytes, 2 * (end + more));
    }
  }

  /** All of it, to be written; valid until the next {@link #clear}. */
  ByteBuffer frame() {
    int size = end - EVENTS;
    text(END_OF_LINE);
    int begin = MAX_DIGITS;
    System.arraycopy(END_OF_LINE, 0, bytes, begin, END_OF_LINE.length);
    do {
      bytes[--begin] = (byte) Character.forDigit(size & 15, 16);
      size >>>= 4;
    } while (size > 0);
    if (chunk.capacity() < end - begin) {
      chunk = ByteBuffer.allocateDirect(bytes.length);
    }
    return chunk.clear().put(bytes, begin, end - begin).flip();
  }
}
