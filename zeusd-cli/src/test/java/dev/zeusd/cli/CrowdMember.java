package dev.zeusd.cli;

import java.io.IOException;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One client of a {@link Crowd}: its connection, what it waits for, and what it got. */
final class CrowdMember {
  private static final List<String> STREAMS =
      List.of(
          "/gpu/stream_power",
          "/gpu/stream_power?gpu_ids=0",
          "/gpu/stream_power?format=snapshot",
          "/gpu/stream_power?gpu_ids=1,2,3");
  private static final List<String> REQUESTS =
      List.of(
          "/time",
          "/discover",
          "/gpu/get_power",
          "/gpu/get_power_limit?gpu_ids=0",
          "/gpu/get_cumulative_energy",
          "/gpu/get_persistence_mode?gpu_ids=3");
  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** How many changes ago the first value may be: a second, on a busy machine. */
  private static final int STALE_MW = 5;

  private static final Pattern SAMPLE =
      Pattern.compile("data: \\{\"timestamp_ms\":\\d+,\"gpu_id\":(\\d+),\"power_mw\":(\\d+)}");
  private static final Pattern SNAPSHOT =
      Pattern.compile("data: \\{\"timestamp_ms\":\\d+,\"power_mw\":\\{[^}]+}}");
  private static final Pattern PAIR = Pattern.compile("\"(\\d+)\":(\\d+)");

  /** What the next bytes are. */
  private enum Expects {
    NOTHING,
    STATUS,
    HEADERS,
    BODY,
    EVENTS
  }

  private final boolean subscribes;
  private final int number;
  private final StringBuilder line = new StringBuilder();
  private final Map<Integer, Long> lastMw = new HashMap<>();

  private SocketChannel channel;
  private Expects expects = Expects.NOTHING;
  private int bodyBytes;
  private int asked;
  private long askAtNanos;
  private long connects;
  private long values;
  private long answers;

  private CrowdMember(boolean subscribes, int number) {
    this.subscribes = subscribes;
    this.number = number;
  }

  static CrowdMember subscriber(int number) {
    return new CrowdMember(true, number);
  }

  static CrowdMember requester(int number) {
    return new CrowdMember(false, number);
  }

  boolean isConnected() {
    return channel != null;
  }

  boolean isStreaming() {
    return expects == Expects.EVENTS;
  }

  /** Whether it has asked for a stream, and so has to get what changes from then on. */
  boolean isSubscribed() {
    return subscribes && expects != Expects.NOTHING;
  }

  long values() {
    return values;
  }

  long answers() {
    return answers;
  }

  long reconnects() {
    return Math.max(0, connects - 1);
  }

  /** Whether this value of every device that it asked for has arrived. */
  boolean hasSeen(long powerMw) {
    int devices =
        switch (number % STREAMS.size()) {
          case 1 -> 1;
          case 3 -> 3;
          default -> 4;
        };
    return lastMw.size() == devices && lastMw.values().stream().allMatch(mw -> mw == powerMw);
  }

  /** Whether it waits for nothing: a daemon may close such a connection, after a minute. */
  boolean isIdle() {
    return expects == Expects.NOTHING && channel != null;
  }

  /** Whether an answer is outstanding to what was asked before. */
  boolean isLate(long beforeNanos) {
    return (expects == Expects.STATUS || expects == Expects.HEADERS || expects == Expects.BODY)
        && askAtNanos < beforeNanos;
  }

  /** Asks nothing, and makes no connection, until then. */
  void waitUntil(long nanos) {
    askAtNanos = nanos;
  }

  /** Connects if it is not, and asks if it is time to. */
  void connectAndAsk(SocketAddress address, Selector selector, long now) throws IOException {
    if (now < askAtNanos) {
      return;
    }
    if (channel == null) {
      channel = SocketChannel.open(address);
      channel.configureBlocking(false);
      channel.register(selector, SelectionKey.OP_READ, this);
      connects++;
    }
    if (expects == Expects.NOTHING) {
      askAtNanos = now;
      expects = Expects.STATUS;
      String request = "GET " + target() + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
      channel.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
    }
  }

  private String target() {
    return subscribes
        ? STREAMS.get(number % STREAMS.size())
        : REQUESTS.get((number + asked) % REQUESTS.size());
  }

  /**
   * Takes what has come.
   *
   * @return false at the end of the connection
   * @throws AssertionError if it is not what has to come
   */
  boolean read(ByteBuffer buffer, long powerMw, long now) throws IOException {
    int count = channel.read(buffer.clear());
    buffer.flip();
    while (buffer.hasRemaining()) {
      char c = (char) buffer.get();
      if (expects == Expects.BODY) {
        line.append(c);
        if (line.length() == bodyBytes) {
          answered();
          waitUntil(now + PAUSE_NANOS);
        }
      } else if (c == '\n') {
        take(line.toString().strip(), powerMw);
        line.setLength(0);
      } else {
        line.append(c);
      }
    }
    return count >= 0;
  }

  private void answered() {
    check(line.charAt(0) == '{' && line.charAt(bodyBytes - 1) == '}', line.toString());
    line.setLength(0);
    answers++;
    asked++;
    expects = Expects.NOTHING;
  }

  private void take(String text, long powerMw) {
    switch (expects) {
      case STATUS -> {
        check(text.equals("HTTP/1.1 200 OK"), text);
        expects = Expects.HEADERS;
      }
      case HEADERS -> {
        if (text.startsWith("Content-Length: ")) {
          bodyBytes = Integer.parseInt(text.substring("Content-Length: ".length()));
        }
        if (text.isEmpty()) {
          expects = subscribes ? Expects.EVENTS : Expects.BODY;
        }
      }
      case EVENTS -> takeEvent(text, powerMw);
      default -> check(false, text);
    }
  }

  private void takeEvent(String text, long powerMw) {
    Matcher sample = SAMPLE.matcher(text);
    if (sample.matches()) {
      long mw = Long.parseLong(sample.group(2));
      Long last = lastMw.get(Integer.valueOf(sample.group(1)));
      check(last == null || mw != last, mw + " came again");
      takeValue(Integer.valueOf(sample.group(1)), mw, powerMw);
    } else if (SNAPSHOT.matcher(text).matches()) {
      Matcher pair = PAIR.matcher(text);
      while (pair.find()) {
        takeValue(Integer.valueOf(pair.group(1)), Long.parseLong(pair.group(2)), powerMw);
      }
    } else {
      // Between events: their empty lines, the sizes of chunks, signs of life.
      check(text.equals(":") || text.matches("[0-9a-fA-F]{0,8}"), text);
    }
  }

  private void takeValue(Integer gpu, long mw, long powerMw) {
    Long last = lastMw.put(gpu, mw);
    if (last == null) {
      check(mw <= powerMw && mw >= powerMw - STALE_MW, "it begins with " + mw + " at " + powerMw);
    } else if (mw != last) {
      check(mw == last + 1, "after " + last + " came " + mw);
    }
    values += last == null || mw != last ? 1 : 0;
  }

  private void check(boolean good, String what) {
    if (!good) {
      throw new AssertionError(this + ": " + what);
    }
  }

  /** Closes the connection. */
  void close() {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        throw new AssertionError(e);
      }
      channel = null;
    }
    expects = Expects.NOTHING;
    line.setLength(0);
    lastMw.clear();
  }

  @Override
  public String toString() {
    return target() + " (" + number + ", " + expects + ")";
  }
}
