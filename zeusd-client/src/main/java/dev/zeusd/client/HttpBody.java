package dev.zeusd.client;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.ProtocolException;

/** The body of an answer, as part of what comes over its connection. */
abstract class HttpBody extends InputStream {
  private static final int MAX_CHUNK_HEAD = 256;

  final InputStream in;

  private HttpBody(InputStream in) {
    this.in = in;
  }

  /** How many bytes are known to follow, read from the connection if need be; 0 at the end. */
  abstract long bytesLeft() throws IOException;

  abstract void taken(int count) throws IOException;

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    long ready = bytesLeft();
    if (ready == 0) {
      return -1;
    }
    int count = in.read(bytes, offset, (int) Math.min(length, ready));
    if (count < 0) {
      throw new EOFException("the connection was closed in the middle of an answer");
    }
    taken(count);
    return count;
  }

  /** One whose length was told. */
  static final class OfLength extends HttpBody {
    private long left;

    OfLength(InputStream in, long length) {
      super(in);
      this.left = length;
    }

    @Override
    long bytesLeft() {
      return left;
    }

    @Override
    void taken(int count) {
      left -= count;
    }
  }

  /** One in pieces, each with its length before it. */
  static final class Chunked extends HttpBody {
    private long left;
    private boolean ended;

    Chunked(InputStream in) {
      super(in);
    }

    @Override
    long bytesLeft() throws IOException {
      if (left == 0 && !ended) {
        left = chunkLength();
        if (left == 0) {
          ended = true;
          // Trailers, up to an empty line.
          while (!line().isEmpty()) {
            continue;
          }
        }
      }
      return left;
    }

    @Override
    void taken(int count) throws IOException {
      left -= count;
      if (left == 0 && !line().isEmpty()) {
        throw new ProtocolException("a chunk is longer than it says");
      }
    }

    private long chunkLength() throws IOException {
      String head = line();
      int end = head.indexOf(';');
      String digits = (end < 0 ? head : head.substring(0, end)).strip();
      if (!digits.matches("[0-9a-fA-F]{1,8}")) {
        throw new ProtocolException("a chunk with a length of '" + digits + "'");
      }
      return Long.parseLong(digits, 16);
    }

    private String line() throws IOException {
      StringBuilder line = new StringBuilder();
      for (int b = in.read(); b != '\n'; b = in.read()) {
        if (b < 0) {
          throw new EOFException("the connection was closed in the middle of an answer");
        }
        if (line.length() == MAX_CHUNK_HEAD) {
          throw new ProtocolException("the head of a chunk is too long");
        }
        line.append((char) b);
      }
      int length = line.length();
      return line.substring(0, length > 0 && line.charAt(length - 1) == '\r' ? length - 1 : length);
    }
  }
}
