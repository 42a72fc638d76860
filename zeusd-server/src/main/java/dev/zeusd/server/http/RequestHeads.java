package dev.zeusd.server.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.helidon.common.buffers.DataReader;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * The bytes that a client sends, turned into what Helidon reads: line by line, as they come, by a
 * {@link HeadRewriter}. Only the beginning of TLS ends here: it may have no line, and each end
 * would wait for the other.
 *
 * <p>Used by the connection's thread only.
 */
final class RequestHeads implements Supplier<byte[]> {
  /** How TLS begins: a record of its handshake, of version 3.x. */
  private static final byte[] TLS_START = {0x16, 0x03};

  /**
   * Most requests have less. Of a thousand that came at once, those at the end may never be
   * answered, so they are not looked through with the first.
   */
  private static final int PIECE_BYTES = 1024;

  private final DataReader source;
  private final int maxLineBytes;
  private final Runnable onTls;
  private final HeadRewriter rewriter;

  /** Most connections need none. */
  private final ByteArrayOutputStream line = new ByteArrayOutputStream(0);

  /**
   * Reads from {@code source}.
   *
   * @param maxLineBytes longer lines are passed on as they are
   * @param onTls called before this ends because the client begins with TLS
   */
  RequestHeads(DataReader source, int maxLineBytes, Runnable onTls) {
    this.source = source;
    this.maxLineBytes = maxLineBytes;
    this.onTls = onTls;
    this.rewriter = new HeadRewriter(maxLineBytes);
  }

  /** The next bytes for Helidon; null at the end. */
  @Override
  public byte[] get() {
    try {
      while (true) {
        source.ensureAvailable();
        byte[] bytes = source.readBytes(Math.min(source.available(), PIECE_BYTES));
        boolean isStart = rewriter.isBeforeRequest() && line.size() == 0;
        if (rewriter.isLost() || isStart && isPlainHead(bytes)) {
          return bytes;
        }
        if (isStart && isTls(bytes)) {
          onTls.run();
          return null;
        }
        byte[] rewritten = take(bytes);
        if (rewritten.length > 0) {
          return rewritten;
        }
      }
    } catch (DataReader.InsufficientDataAvailableException e) {
      return null;
    }
  }

  /**
   * Whether these are one whole head in which nothing is to be changed, as most blocks are: a
   * shortcut past the rest.
   */
  private static boolean isPlainHead(byte[] bytes) {
    if (bytes.length < 4 || bytes[0] < 'A') {
      return false;
    }
    boolean isRequestLine = true;
    for (int start = 0, i = 0; i < bytes.length; i++) {
      if (bytes[i] != '\n') {
        continue;
      }
      if (isRequestLine) {
        String text = new String(bytes, 0, i + 1, ISO_8859_1);
        if (!text.endsWith(HeadRewriter.HTTP_1_1) || !text.startsWith("/", text.indexOf(' ') + 1)) {
          return false;
        }
        isRequestLine = false;
      } else if (i == start + 1 && bytes[start] == '\r') {
        return i + 1 == bytes.length;
      } else if ((bytes[start] | 0x20) == 't' || (bytes[start] | 0x20) == 'z') {
        // Maybe one of those that matter.
        return false;
      } else if ((bytes[start] | 0x20) == 'h' && i - start > 1 && isEmptyHostEnd(bytes[i - 2])) {
        // A Host without a name, or with a port that is empty.
        return false;
      }
      start = i + 1;
    }
    return false;
  }

  private static boolean isEmptyHostEnd(byte last) {
    return last == ':' || last == ' ' || last == '\t';
  }

  private static boolean isTls(byte[] bytes) {
    return bytes.length >= TLS_START.length
        && Arrays.equals(bytes, 0, TLS_START.length, TLS_START, 0, TLS_START.length);
  }

  private byte[] take(byte[] bytes) {
    StringBuilder out = new StringBuilder();
    int start = 0;
    for (int i = 0; i < bytes.length && !rewriter.isLost(); i++) {
      if (bytes[i] == '\n') {
        line.write(bytes, start, i + 1 - start);
        start = i + 1;
        out.append(rewriter.rewrite(line.toString(ISO_8859_1)));
        line.reset();
      }
    }
    line.write(bytes, start, bytes.length - start);
    if (rewriter.isLost() || line.size() > maxLineBytes) {
      rewriter.giveUp();
      out.append(line.toString(ISO_8859_1));
      line.reset();
    }
    return out.toString().getBytes(ISO_8859_1);
  }
}
