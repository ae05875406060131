/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import static io.shardflow.nifi.processors.PublishSnowpipeStreamingTest.ROWS;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.shardflow.nifi.bridge.Outcome.State;
import io.shardflow.nifi.bridge.Piece;
import java.util.List;
import java.util.Map;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.TestRunner;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Rows that leave their FlowFile: for failure, or as invalid. */
class PublishSnowpipeStreamingPiecesTest {

    private final FakeBridge bridge = new FakeBridge();
    private final FakeSink sink = bridge.sink;
    private TestRunner runner;

    @BeforeEach
    void createRunner() {
        runner = PublishSnowpipeStreamingTest.configured(bridge);
    }

    @Test
    void aRowThatIsTooLargeLeavesAloneForFailure() {
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        Queues.enqueue(runner, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", 1);
        runner.run(5);

        final MockFlowFile row = Queues.only(runner, "failure");
        row.assertContentEquals("{\"a\":2}\n");
        row.assertAttributeEquals(Attributes.OFFSET_START, "2");
        row.assertAttributeEquals(Attributes.OFFSET_END, "2");
        row.assertAttributeEquals(Attributes.MESSAGE, "too large");
        row.assertAttributeEquals("shard", "s");
        row.assertAttributeEquals("record.count", "1");
        Queues.only(runner, "success").assertContentEquals("{\"a\":1}\n{\"a\":3}\n");
    }

    @Test
    void contentThatIsAskedForOnceMoreIsReadAgainAndNothingIsTakenOutTwice() {
        sink.script = upload -> List.of(State.WANT_DATA, State.IN_FLIGHT, State.WANT_DATA, State.COMMITTED);
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        Queues.enqueue(runner, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", 1);
        runner.run(5);

        assertEquals(2, sink.finished.get(1L));
        Queues.only(runner, "failure").assertContentEquals("{\"a\":2}\n");
        Queues.only(runner, "success").assertContentEquals("{\"a\":1}\n{\"a\":3}\n");
    }

    @Test
    void aRowThatIsTooLargeLeavesOnceHoweverOftenItsFlowFileIsBegun() {
        final int[] begun = {0};
        sink.script = upload -> begun[0]++ == 0
                ? List.of(State.WANT_DATA, State.IN_FLIGHT, State.RETRY)
                : List.of(State.WANT_DATA, State.IN_FLIGHT, State.COMMITTED);
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        Queues.enqueue(runner, "{\"a\":1}\n{\"a\":2}\n", 1);
        runner.run(10);

        Queues.only(runner, "failure").assertContentEquals("{\"a\":2}\n");
        Queues.only(runner, "success").assertContentEquals("{\"a\":1}\n");
    }

    @Test
    void aFlowFileThatFailsIsKeptWhole() {
        sink.script = upload -> List.of(State.WANT_DATA, State.FAILED);
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        Queues.enqueue(runner, ROWS, 1);
        runner.run(5);

        Queues.only(runner, "failure").assertContentEquals(ROWS);
    }

    @Test
    void rowsTooLargeAndRejectedOnesLeaveTheirFlowFileEachTheirWay() {
        sink.script = upload -> List.of(State.WANT_DATA, State.INVALID);
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        sink.pieces.add(new Piece(Piece.Way.INVALID, 0, 8, 1, "1", "1", "rejected"));
        Queues.enqueue(runner, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n", 1);
        runner.run(5);

        Queues.only(runner, "failure").assertContentEquals("{\"a\":2}\n");
        Queues.only(runner, "invalid").assertContentEquals("{\"a\":1}\n");
        Queues.only(runner, "success").assertContentEquals("{\"a\":3}\n");
    }

    @Test
    void onlyTheRowsThatMayBeRejectedAreInvalidWhenTheyAreKnown() {
        sink.script = upload -> List.of(State.WANT_DATA, State.INVALID);
        sink.rowErrors = 1;
        sink.message = "rejected";
        // The last line has no line feed, which the length counts all the same.
        sink.pieces.add(new Piece(Piece.Way.INVALID, 16, 8, 1, "3", "3", "rejected"));
        sink.pieces.add(new Piece(Piece.Way.INVALID, 0, 8, 1, "1", "1", "rejected"));
        Queues.enqueue(runner, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}", 1);
        runner.run(1);

        final MockFlowFile invalid = Queues.only(runner, "invalid");
        invalid.assertContentEquals("{\"a\":1}\n{\"a\":3}");
        invalid.assertAttributeEquals(Attributes.ROW_ERRORS, "1");
        invalid.assertAttributeEquals(Attributes.OFFSET_START, "1");
        invalid.assertAttributeEquals(Attributes.OFFSET_END, "3");
        final MockFlowFile rest = Queues.only(runner, "success");
        rest.assertContentEquals("{\"a\":2}\n");
        rest.assertAttributeEquals(Attributes.ROW_ERRORS, "0");
        rest.assertAttributeNotExists(Attributes.MESSAGE);
    }

    @Test
    void theCountOfRecordsIsThatOfTheRowsThatAreLeft() {
        sink.script = upload -> List.of(State.WANT_DATA, State.INVALID);
        sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
        sink.pieces.add(new Piece(Piece.Way.INVALID, 0, 8, 1, "1", "1", "rejected"));
        runner.enqueue(
                "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n",
                Map.of("start", "1", "end", "4", "shard", "s", "record.count", "4"));
        runner.run(5);

        Queues.only(runner, "failure").assertAttributeEquals("record.count", "1");
        Queues.only(runner, "invalid").assertAttributeEquals("record.count", "1");
        Queues.only(runner, "success").assertAttributeEquals("record.count", "2");
    }

    @Test
    void aCountThatIsNoneStaysAsItIs() {
        for (final String count : List.of("many", "0", "")) {
            createRunner();
            sink.pieces.clear();
            sink.pieces.add(new Piece(Piece.Way.FAILED, 8, 8, 1, "2", "2", "too large"));
            runner.enqueue(
                    "{\"a\":1}\n{\"a\":2}\n", Map.of("start", "1", "end", "2", "shard", "s", "record.count", count));
            runner.run(5);

            Queues.only(runner, "success").assertContentEquals("{\"a\":1}\n");
            Queues.only(runner, "success").assertAttributeEquals("record.count", count);
        }
    }
}
