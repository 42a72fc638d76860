package dev.zeusd.ffm.posix;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;

class FileFactsTest {
  @Test
  void aFullDiskIsNamedInWords() throws IOException {
    Path full = Path.of("/dev/full");
    try (FileChannel channel = FileChannel.open(full, StandardOpenOption.WRITE);
        FileOutputStream stream = new FileOutputStream(full.toFile())) {
      ByteBuffer bytes = ByteBuffer.allocate(1);
      IOException e = assertThrows(IOException.class, () -> channel.write(bytes));
      assertEquals("the disk is full", FileFacts.reason(e));
      e = assertThrows(IOException.class, () -> stream.write(1));
      assertEquals("the disk is full", FileFacts.reason(e));
    }
  }
}
