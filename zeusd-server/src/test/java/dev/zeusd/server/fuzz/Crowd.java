package dev.zeusd.server.fuzz;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Many connections of one user, as a program of its own, so that it can be another user's. It needs
 * nothing but itself and a JDK. What it is told: the socket's path or the TCP port of this machine,
 * how many connections, how many requests each sends without waiting for answers, whether it reads
 * those ({@code read} or {@code ignore}), and the method and target of the request.
 *
 * <p>A connection that ends is opened anew at once, and one that sends more than one request sends
 * them again each second. For each line of input it prints one: how many connections were opened,
 * have ended, and began with which status. It ends with its input.
 */
public final class Crowd {
  private static final long LOOK_MILLIS = 1000;
  private static final int STATUS_END = "HTTP/1.1 200".length();

  private final SocketAddress address;
  private final byte[] requests;
  private final boolean reads;

  /** Whether a connection sends its requests again, each second. */
  private final boolean asksOn;

  private final Selector selector = Selector.open();
  private long lookedNanos = System.nanoTime();
  private final ByteBuffer received = ByteBuffer.allocateDirect(65_536);

  // Guarded by this.

  private final Map<String, Integer> statuses = new TreeMap<>();
  private int opened;
  private int ended;

  private Crowd(SocketAddress address, byte[] requests, boolean reads, boolean asksOn)
      throws IOException {
    this.asksOn = asksOn;
    this.address = address;
    this.requests = requests;
    this.reads = reads;
  }

  /** What a connection has still to send, and whether anything has come for it. */
  private static final class Sending {
    final ByteBuffer left;
    boolean isAnswered;

    Sending(byte[] requests) {
      left = ByteBuffer.wrap(requests);
    }
  }

  /** Runs until the input ends. */
  public static void main(String[] args) throws IOException {
    SocketAddress address =
        args[0].startsWith("/")
            ? UnixDomainSocketAddress.of(args[0])
            : new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0]));
    String request = args[4] + " " + args[5] + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    byte[] requests = request.repeat(Integer.parseInt(args[2])).getBytes(StandardCharsets.US_ASCII);
    boolean asksOn = Integer.parseInt(args[2]) > 1;
    Crowd crowd = new Crowd(address, requests, args[3].equals("read"), asksOn);
    Thread.ofPlatform().daemon().start(() -> crowd.run(Integer.parseInt(args[1])));
    BufferedReader input =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    while (input.readLine() != null) {
      crowd.report();
    }
  }

  private synchronized void report() {
    System.out.println("opened=" + opened + " ended=" + ended + " " + statuses);
  }

  private synchronized void hasOpened() {
    opened++;
  }

  private synchronized void hasEnded() {
    ended++;
  }

  private synchronized void isAnswered(String status) {
    statuses.merge(status, 1, Integer::sum);
  }

  private void run(int connections) {
    try {
      while (true) {
        if (selector.keys().size() < connections) {
          open();
          selector.selectNow(this::serve);
        } else {
          selector.select(this::serve, LOOK_MILLIS);
        }
        if (System.nanoTime() - lookedNanos > LOOK_MILLIS * 1_000_000) {
          lookedNanos = System.nanoTime();
          List.copyOf(selector.keys()).forEach(this::sendMore);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Who does not read learns only so that the other end has closed; who does, asks again. */
  private void sendMore(SelectionKey key) {
    Sending sending = (Sending) key.attachment();
    if (key.isValid() && asksOn && !sending.left.hasRemaining()) {
      sending.left.rewind();
      write(key);
    }
  }

  private void open() {
    try {
      SocketChannel channel = SocketChannel.open(address);
      channel.configureBlocking(false);
      channel.register(
          selector, SelectionKey.OP_WRITE | SelectionKey.OP_READ, new Sending(requests));
      hasOpened();
    } catch (IOException e) {
      hasEnded();
    }
  }

  private void serve(SelectionKey key) {
    try {
      Sending sending = (Sending) key.attachment();
      if (key.isWritable()) {
        write(key);
      }
      if (key.isValid() && key.isReadable()) {
        received.clear().limit(reads ? received.capacity() : STATUS_END);
        if (((SocketChannel) key.channel()).read(received) < 0) {
          throw new IOException("ended");
        }
        if (!sending.isAnswered) {
          sending.isAnswered = true;
          isAnswered(StandardCharsets.US_ASCII.decode(received.flip()).toString().substring(9, 12));
          if (!reads) {
            key.interestOps(key.interestOps() & ~SelectionKey.OP_READ);
          }
        }
      }
    } catch (IOException | RuntimeException e) {
      end(key);
    }
  }

  private void write(SelectionKey key) {
    Sending sending = (Sending) key.attachment();
    try {
      ((SocketChannel) key.channel()).write(sending.left);
      key.interestOps(
          (sending.left.hasRemaining() ? SelectionKey.OP_WRITE : 0)
              | (reads || !sending.isAnswered ? SelectionKey.OP_READ : 0));
    } catch (IOException e) {
      end(key);
    }
  }

  private void end(SelectionKey key) {
    hasEnded();
    try {
      key.cancel();
      key.channel().close();
    } catch (IOException e) {
      // It has ended even so.
    }
  }
}
