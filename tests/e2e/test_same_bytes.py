#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One meaning: the same points as JSON, OTLP 0.7 and OTLP 1.0 leave as the same bytes."""
import json
import math

from weirtest import case, points
from weirtest.case import WeirCase


class SameBytes(WeirCase):
    """Our own points, in each encoding, through a fresh program each time."""

    def export(self, encoding, sent, **how):
        """The bytes that leave when `sent` comes in that encoding."""
        receiver = self.receiver()
        weir = self.weir(receiver, ingest={"threads": 1}, export_threads=1)
        self.deliver(weir, [points.ENCODINGS[encoding](sent)], **how)
        self.assert_arrived(receiver, sent)
        weir.stop()
        return [batch.body for batch in receiver.accepted()]

    def assert_same(self, sent):
        """All encodings give the same batches."""
        reference = self.export("otlp10", sent)
        for encoding in ("otlp07", "json"):
            with self.subTest(encoding):
                self.assertEqual(self.export(encoding, sent), reference)

    def test_one_point(self):
        self.assert_same([points.Point(sum=12.5, min=1.5, max=11, count=2)])

    def test_zeros(self):
        self.assert_same([points.Point(dimensions={"InstanceId": "i-1"})])

    def test_no_dimensions(self):
        self.assert_same([points.Point(dimensions={}, sum=1.0)])

    def test_negative_values(self):
        self.assert_same([points.Point(sum=-4, min=-3, max=-1, count=2, namespace="AWS/RDS")])

    def test_what_is_no_number_is_kept_as_it_is(self):
        """NaN and infinity are values of OTLP; JSON has none, and such a line is quarantined."""
        odd = [points.Point(metric=f"M{n}", sum=value, min=value, max=value, count=1)
               for n, value in enumerate((math.nan, math.inf, -math.inf, 5e-324, 1.7e308))]
        self.assertEqual(self.export("otlp07", odd), self.export("otlp10", odd))
        receiver = self.receiver()
        weir = self.weir(receiver)
        self.deliver(weir, [points.as_json(odd)])
        self.assert_arrived(receiver, odd[3:])
        self.assertEqual(weir.metric("weir_records_quarantined_total", reason="json_line"), 3)

    def test_percentiles(self):
        self.assert_same([points.Point(max=9, extra={"p50": 4.5, "p99": 8.0, "p99.9": 8.5})])

    def test_many(self):
        self.assert_same(points.series(300))

    def test_characters_beyond_ascii(self):
        self.assert_same([points.Point(dimensions={"Größe": "№ 5 \"x\" \\ 😀\t"}, sum=1.0)])

    def test_formats_mixed_in_one_request(self):
        sent = points.series(60)
        records = [points.as_json(sent[:20]), b"", points.as_otlp07(sent[20:40]),
                   points.as_otlp10(sent[40:])]
        receiver = self.receiver()
        weir = self.weir(receiver)
        self.deliver(weir, records, compressed=True)
        self.assert_arrived(receiver, sent)

    def test_several_messages_and_accounts_in_a_record(self):
        sent = points.series(10) + points.series(10, 10, account="999999999999")
        record = points.as_otlp10(sent[:7]) + points.as_otlp10(sent[7:])
        receiver = self.receiver()
        weir = self.weir(receiver)
        self.deliver(weir, [record])
        self.assert_arrived(receiver, sent)

    def test_extended_statistics(self):
        sent = [points.Point(max=9, extra={"p90": 8.0, "TM(25%:75%)": 4.25, "PR(:300)": 1.0,
                                           "TC(0.005:0.030)": 3.0, "IQM": 4.0})]
        receiver = self.receiver()
        weir = self.weir(receiver)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)

    def test_blank_lines_and_exponents(self):
        sent = [points.Point(sum=11728384.0, min=9.765625e-4, max=3.0, count=4)]
        line = points.as_json(sent).replace(b"11728384.0", b"1.1728384E7")
        line = line.replace(b"0.0009765625", b"9.765625E-4")
        self.assertIn(b"E7", line)
        self.assertIn(b"E-4", line)
        receiver = self.receiver()
        weir = self.weir(receiver)
        self.deliver(weir, [b"\n\n" + line + b"\r\n\n"])
        self.assert_arrived(receiver, sent)

    def test_a_bad_line_is_quarantined_alone(self):
        sent = points.series(3)
        record = points.as_json(sent[:2]) + b'{"metric_name": 5}\n' + points.as_json(sent[2:])
        receiver = self.receiver()
        weir = self.weir(receiver)
        self.deliver(weir, [record])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.metric("weir_records_quarantined_total"), 1)

    def test_source_arn_decides_account_and_partition(self):
        sent = points.Point(account="123456789012", region="cn-north-1", sum=1.0)
        receiver = self.receiver()
        weir = self.weir(receiver)
        arn = "arn:aws-cn:firehose:cn-north-1:555555555555:deliverystream/x"
        self.deliver(weir, [points.as_json([sent])], x_amz_firehose_source_arn=arn)
        self.assertTrue(receiver.wait_count(1))
        resource = receiver.points()[0]["resource"]
        self.assertEqual(resource["cloud.account.id"], "123456789012")
        self.assertEqual(resource["aws.exporter.arn"],
                         "arn:aws-cn:cloudwatch:cn-north-1:555555555555:metric-stream/weir-test")

    def test_stdout_destination(self):
        sent = points.series(5)
        weir = self.weir("", destinations=[{"name": "console", "type": "stdout"}])
        self.deliver(weir, [points.as_otlp10(sent)])
        self.assertEqual(weir.stop(), 0)
        text = "\n".join(weir.out)
        for line in weir.out:
            self.assertIn("resourceMetrics", json.loads(line))
        for point in sent:
            self.assertIn(point.name, text)


if __name__ == "__main__":
    case.main()
