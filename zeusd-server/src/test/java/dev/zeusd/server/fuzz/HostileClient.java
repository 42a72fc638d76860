package dev.zeusd.server.fuzz;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.server.raw.RawConnection;
import dev.zeusd.server.raw.RawResponse;
import java.io.IOException;
import java.net.SocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.random.RandomGenerator;

/**
 * Sends a server what it does not expect, and looks at what comes back: proper answers that give
 * nothing away, and an end of the connection, always. Each round follows from the seed and its
 * number alone.
 */
public final class HostileClient {
  /** 406: the stream's endpoint; 501: an unknown transfer encoding. */
  private static final Set<Integer> EXPECTED =
      Set.of(200, 204, 400, 401, 403, 404, 405, 406, 413, 414, 431, 501, 503, 505);

  private final SocketAddress address;
  private final long seed;
  private final AtomicLong requests = new AtomicLong();

  /** For the server at this address. */
  public HostileClient(SocketAddress address, long seed) {
    this.address = address;
    this.seed = seed;
  }

  /** How many connections were made, each with one or more requests. */
  public long requests() {
    return requests.get();
  }

  /**
   * One connection.
   *
   * @return whether a request may have got through
   * @throws AssertionError with the seed, the round, and what was sent
   */
  public boolean round(long round) {
    RandomGenerator random = new SplittableRandom(seed + round * 0x9E3779B97F4A7C15L);
    HostileRequests hostile = new HostileRequests(random);
    return send(random.nextInt(200) == 0 ? hostile.large() : hostile.next(), random, round);
  }

  /** The same with what is sent. */
  public boolean send(String bytes, RandomGenerator random, long round) {
    requests.incrementAndGet();
    try (RawConnection connection = RawConnection.open(address)) {
      return switch (random.nextInt(8)) {
        case 0 -> leaveAtOnce(connection, bytes, random);
        case 1 -> drip(connection, bytes, random);
        default -> readAnswers(sendAll(connection, bytes));
      };
    } catch (IOException | AssertionError e) {
      throw new AssertionError(
          "fuzz.seed=%d, round %d, %d bytes sent: %s"
              .formatted(seed, round, bytes.length(), printable(bytes)),
          e);
    }
  }

  private static RawConnection sendAll(RawConnection connection, String bytes) throws IOException {
    try {
      return connection.send(bytes).endOutput();
    } catch (IOException e) {
      // The server has heard enough, and ended the connection.
      return connection;
    }
  }

  /** With a reset where there is such a thing, or with answers unread. */
  private static boolean leaveAtOnce(RawConnection connection, String bytes, RandomGenerator random)
      throws IOException {
    try {
      connection.send(bytes.substring(0, random.nextInt(bytes.length() + 1)));
    } catch (IOException e) {
      // The same.
    }
    connection.abort();
    return true;
  }

  private static boolean drip(RawConnection connection, String bytes, RandomGenerator random)
      throws IOException {
    try {
      for (int at = 0; at < bytes.length() && at < 300; at++) {
        connection.send(bytes.substring(at, at + 1));
        if (random.nextInt(20) == 0) {
          Thread.sleep(1);
        }
      }
      connection.endOutput();
    } catch (IOException e) {
      // Refused before the end.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return readAnswers(connection);
  }

  private static boolean readAnswers(RawConnection connection) throws IOException {
    boolean served = false;
    try {
      while (connection.hasBytes(RawConnection.PATIENCE)) {
        RawResponse head = connection.readHead();
        if (head.status() == 100) {
          // Asked for by Expect; the answer follows.
          continue;
        }
        if (head.status() == 200 && head.header("Content-Type").equals("text/event-stream")) {
          connection.drain(RawConnection.PATIENCE);
          return true;
        }
        RawResponse response = connection.readBody(head);
        check(response);
        served |= response.status() == 200;
      }
      connection.assertEnd();
    } catch (IOException e) {
      // Reset, because something it has not read was still under way: an end, too.
      return true;
    }
    return served;
  }

  private static void check(RawResponse response) {
    assertTrue(EXPECTED.contains(response.status()), response::toString);
    if (response.status() == 204) {
      assertTrue(response.body().isEmpty(), response::toString);
    } else if (response.status() != 200) {
      response.assertError(response.status());
    }
    for (String inner : List.of("java.", "helidon", "dev.zeusd", "\\tat ", "Throwable")) {
      assertFalse(response.body().contains(inner), response::toString);
    }
  }

  private static String printable(String bytes) {
    List<String> shown = new ArrayList<>();
    for (char c : bytes.substring(0, Math.min(2000, bytes.length())).toCharArray()) {
      shown.add(
          c >= ' ' && c <= '~' && c != '\\' ? String.valueOf(c) : "\\u%04x".formatted((int) c));
    }
    return String.join("", shown);
  }
}
